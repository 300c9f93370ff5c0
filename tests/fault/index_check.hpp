// SPDX-License-Identifier: Apache-2.0
// What must hold of an index after whatever happened to it, and how two moments of it compare.
#pragma once

#include <artcache/content.hpp>
#include <artcache/metadata_store.hpp>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace artcache::test {

/// All that an index shows, but for the epoch and the time of commits.
struct Moment {
  std::uint64_t seq = 0, count = 0, bytes = 0;
  Digest digest;
  std::string suspect_reason;
  std::map<std::string, std::string> entries;  ///< id: hash, revision, freshness
  std::map<std::string, std::string> scanned;  ///< path: id and hash
  std::set<std::string> intents;
  friend bool operator==(const Moment&, const Moment&) = default;
};
Result<Moment> moment_of(MetadataStore& index);

/// The first contradiction between head, rows, log, words and scan table; empty when there is none.
/// For indexes of at most kPageMost rows. The log is read from a position known to be in it, or
/// from its beginning if it still has that.
std::string contradiction(MetadataStore& index, const Position* known = nullptr);

/// Applies and bulk-loads a few rows; what went wrong, or nothing.
std::string does_not_go_on(MetadataStore& index);

std::vector<BulkLoad::Row> bulk_rows(std::uint64_t from, std::uint64_t to);

}  // namespace artcache::test
