// SPDX-License-Identifier: Apache-2.0
// Ready rows of a sample store, made a run at a time, so that a million need no memory.
#pragma once

#include <artcache/metadata_store.hpp>
#include <cstdint>
#include <vector>

namespace artcache::bench {

/// The rows of one store, folder by folder as a listing gives them: the folders in no order.
class SampleRows {
 public:
  explicit SampleRows(std::uint64_t files) : files_(files) {}

  /// Rows `from` to `to`, not included; those at or after `files` are further ones of their own.
  [[nodiscard]] std::vector<BulkLoad::Row> make(std::uint64_t from, std::uint64_t to) const;
  [[nodiscard]] std::uint64_t files() const { return files_; }

 private:
  std::uint64_t files_;
};

/// What apply() takes for a row.
EntryChange change_of(const BulkLoad::Row& row);

}  // namespace artcache::bench
