// SPDX-License-Identifier: Apache-2.0
// What the two files of index figures have in common.
#pragma once

#include <artcache/metadata_store.hpp>
#include <memory>
#include <string>

#include "bench/sample_rows.hpp"

namespace artcache::bench {

/// An empty index in place of whatever is at that path.
std::unique_ptr<MetadataStore> open_fresh(const std::string& path);

}  // namespace artcache::bench
