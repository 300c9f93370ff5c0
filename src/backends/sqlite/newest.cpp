// SPDX-License-Identifier: Apache-2.0
#include "backends/sqlite/newest.hpp"

#include <algorithm>

#include "backends/sqlite/columns.hpp"
#include "util/try.hpp"

namespace artcache::sqlite {
namespace {

/// So many rows are read at once, whatever is asked for.
constexpr std::size_t kFew = 500;
/// Steps of the walk for each row that it spares.
constexpr std::size_t kStepsForRow = 3;

bool newer(const Hit& a, const Hit& b) {
  return a.created_at != b.created_at ? a.created_at > b.created_at : a.id > b.id;
}

Result<std::vector<Hit>> read_all(const Prepare& prepare, std::span<const std::int64_t> rows) {
  ARTCACHE_TRY(sql::Statement * s,
               prepare("SELECT row, created_at, file_id, 0 FROM {p}entry_{g} WHERE row = ?"));
  std::vector<Hit> hits;
  hits.reserve(rows.size());
  for (const std::int64_t row : rows) {
    s->bind(0, row);
    ARTCACHE_TRY(const bool found, s->step());
    if (found) {
      Hit& hit = hits.emplace_back();
      hit.row = row;
      hit.created_at = s->integer(1);
      ARTCACHE_TRY(hit.id, read_id(*s, 2));
    }
    s->reset();
  }
  return hits;
}

/// Fewer than `count` when it gave up.
Result<std::vector<Hit>> walk(const Prepare& prepare, std::span<const std::int64_t> rows,
                              std::size_t count) {
  ARTCACHE_TRY(sql::Statement * s, prepare("SELECT row, created_at, file_id, 0 FROM {p}entry_{g} "
                                           "ORDER BY created_at DESC, file_id DESC LIMIT ?"));
  s->bind(0, static_cast<std::int64_t>(rows.size() * kStepsForRow));
  std::vector<Hit> hits;
  while (hits.size() < count) {
    ARTCACHE_TRY(const bool found, s->step());
    if (!found) break;
    const std::int64_t row = s->integer(0);
    if (!std::binary_search(rows.begin(), rows.end(), row)) continue;
    Hit& hit = hits.emplace_back();
    hit.row = row;
    hit.created_at = s->integer(1);
    ARTCACHE_TRY(hit.id, read_id(*s, 2));
  }
  s->reset();
  return hits;
}

}  // namespace

Result<std::vector<Hit>> read_hits(sql::Statement& s, bool sort_is_text) {
  std::vector<Hit> hits;
  while (true) {
    ARTCACHE_TRY(const bool found, s.step());
    if (!found) return hits;
    Hit& hit = hits.emplace_back();
    hit.row = s.integer(0);
    hit.created_at = s.integer(1);
    ARTCACHE_TRY(hit.id, read_id(s, 2));
    if (sort_is_text)
      hit.text = s.text(3);
    else
      hit.number = s.integer(3);
  }
}

Result<std::vector<Hit>> newest_of(const Prepare& prepare, std::span<const std::int64_t> rows,
                                   std::size_t count) {
  count = std::min(count, rows.size());
  if (count == 0) return std::vector<Hit>{};
  if (rows.size() > kFew && count < rows.size() / 2) {
    ARTCACHE_TRY(auto hits, walk(prepare, rows, count));
    if (hits.size() == count) return hits;
  }
  ARTCACHE_TRY(auto hits, read_all(prepare, rows));
  std::ranges::sort(hits, newer);
  if (hits.size() > count) hits.resize(count);
  return hits;
}

}  // namespace artcache::sqlite
