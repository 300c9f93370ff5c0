// SPDX-License-Identifier: Apache-2.0
// What the files with figures of an index have in common.
#pragma once

#include <artcache/metadata_store.hpp>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "bench/raw_sqlite.hpp"
#include "bench/sample_rows.hpp"

namespace artcache::bench {

/// An empty index in place of whatever is at that path.
std::unique_ptr<MetadataStore> open_fresh(const std::string& path);

/// Rows that are made at a time.
inline constexpr std::uint64_t kChunk = 10'000;

/// Seconds of a bulk load of all rows, without those that making the rows takes.
double load_index(MetadataStore& index, const SampleRows& rows);
double load_raw(RawSqlite& raw, const SampleRows& rows);

/// In one transaction, log included; `number`: of the rows before.
void apply_to_raw(RawSqlite& raw, std::span<const BulkLoad::Row> rows, std::uint64_t number);

}  // namespace artcache::bench
