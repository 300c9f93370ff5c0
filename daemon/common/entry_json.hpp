// SPDX-License-Identifier: Apache-2.0
// One entry as every program of artcache shows it.
#pragma once

#include <artcache/json_writer.hpp>
#include <artcache/metadata_store.hpp>
#include <artcache/timestamp.hpp>

namespace artcache {

/// The members of one JSON object that the caller has begun; cache_expired as of `now`.
void append_entry(JsonWriter& json, const IndexedEntry& row, Timestamp now);

}  // namespace artcache
