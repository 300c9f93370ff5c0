// SPDX-License-Identifier: Apache-2.0
// What verbs that show entries and verbs that move files have in common.
#pragma once

#include <artcache/file_id.hpp>
#include <artcache/file_service.hpp>
#include <artcache/json_writer.hpp>
#include <artcache/metadata_store.hpp>
#include <optional>
#include <string>

#include "cli/place.hpp"

namespace artcache::cli {

std::string entry_json(const IndexedEntry& row, JsonWriter::Layout layout);

/// Over what is open in the place, for as long as that is.
FileService make_file_service(const Place& place, const CommonOptions& options,
                              std::optional<std::uint64_t> capacity = {});

/// Writes the bytes of a file to `name`, `-` for standard output, and verifies them on the way.
Result<void> write_content(const Place& place, const CommonOptions& options, const FileId& id,
                           const std::string& name);

}  // namespace artcache::cli
