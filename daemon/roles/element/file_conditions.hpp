// SPDX-License-Identifier: Apache-2.0
// Changes of a file that are made only while it is what the caller has seen: If-Match.
#pragma once

#include <artcache/file_service.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "http/message.hpp"

namespace artcache::element {

/// Of what is said of a file, with its quotes. Another one after each change, be it made here or
/// found by a rebuild.
std::string entry_tag(const IndexedEntry& row);

/// What a change is to be based on; nothing where the request names no state. Errors: conflict (it
/// names another one than that of this moment), and those of FileService::metadata().
Result<std::optional<std::uint64_t>> seen_revision(FileService& files, const FileId& id,
                                                   const http::Request& request);
/// Errors: those of seen_revision() and FileService::remove().
Result<void> remove_seen(FileService& files, const FileId& id, const http::Request& request);

/// 412 for what is not as the request says; otherwise file_problem().
http::Problem change_problem(const FileId& id, const Error& error, const http::Request& request);

}  // namespace artcache::element
