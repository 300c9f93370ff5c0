// SPDX-License-Identifier: Apache-2.0
// Finds files of all elements by words, ids and what else is known of them.
#pragma once

#include <artcache/metadata_store.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "roles/query/tables.hpp"

namespace artcache::query {

/// All that is given must hold.
struct FileSearch {
  /// Words, or an id; nothing: every file. A text without words finds nothing.
  std::optional<std::string> query = {};
  MatchMode mode = MatchMode::prefix;
  EntryFilter filter = {};             ///< but for expired_at
  std::vector<std::string> tags = {};  ///< each of them
  std::optional<std::string> element = {};
  SortBy sort = SortBy::relevance;
  SortOrder order = SortOrder::descending;
  std::uint32_t limit = 100;  ///< at most kPageMost
  std::uint64_t offset = 0;
};

struct FilePage {
  std::vector<FoundFile> files;
  std::uint64_t total = 0;
  /// lower_bound: there may be more; `total`, order and pages are those of the newest of them.
  TotalKind total_kind = TotalKind::exact;
};

/// Ranks as search_rank() does. Covers the newest kSearchWindow matches. Of equal rank the newest
/// comes first, then the greatest id. Errors: invalid_argument (a query that is too long), and
/// those of the statements.
Result<FilePage> search_files(Session& session, const FileSearch& search);

}  // namespace artcache::query
