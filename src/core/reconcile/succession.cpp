// SPDX-License-Identifier: Apache-2.0
#include "core/reconcile/succession.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include "util/try.hpp"

namespace artcache::reconcile {

ScannedFile scanned_of(const Opened& file) {
  return {.path = file.path,
          .stamp = file.stamp,
          .id = file.put->entry.id,
          .hash = file.put->hash,
          .updated_at = file.put->entry.updated_at,
          .text_hash = file.text_hash};
}

std::vector<Bereft> bereft_by(const Chunk& chunk, std::span<const FileId> owners) {
  std::vector<Bereft> bereft;
  for (std::size_t i = 0; i < chunk.files.size(); ++i) {
    const Opened& file = chunk.files[i];
    if (!file.put) continue;
    const FileId& id = file.put->entry.id;
    if (file.known && file.known->id != id) bereft.push_back({i, file.known->id});
    if (owners.empty() || owners[i] == id) continue;
    if (!file.known || file.known->id != owners[i]) bereft.push_back({i, owners[i]});
  }
  return bereft;
}

Result<std::vector<std::optional<Settled>>> Succession::settle(std::span<const Bereft> entries,
                                                               const Chunk& chunk) const {
  std::vector<std::optional<Settled>> outcomes(entries.size());
  if (entries.empty()) return outcomes;
  std::vector<FileId> ids;
  for (const Bereft& entry : entries) ids.push_back(entry.id);
  ARTCACHE_TRY(const auto rows, index.briefs(ids, call));
  for (std::size_t n = 0; n < entries.size(); ++n) {
    if (!rows[n] || rows[n]->sidecar_path != chunk.files[entries[n].file].path) continue;
    // What has changed since then may have a sidecar of its own again.
    outcomes[n] = Settled::moved;
    if (rows[n]->revision > chunk.as_of) continue;
    ARTCACHE_TRY(outcomes[n], replace(ids[n], *rows[n], Standing::another));
  }
  return outcomes;
}

Result<Settled> Succession::replace(const FileId& id, const RowBrief& row, Standing own) const {
  ARTCACHE_TRY(auto others, index.scanned_paths_of(id, call));
  std::erase_if(others, [&](const ScannedFile& file) { return file.path == row.sidecar_path; });
  std::ranges::sort(others, [](const ScannedFile& a, const ScannedFile& b) {
    return a.updated_at != b.updated_at ? a.updated_at > b.updated_at : a.path < b.path;
  });
  std::vector<std::string_view> unscanned;
  if (own == Standing::gone) unscanned.push_back(row.sidecar_path);
  for (const ScannedFile& other : others) {
    ARTCACHE_TRY(Chunk chunk, read_chunk(plan, {{other.path}}, call));
    Opened& file = chunk.files.front();
    if (!file.put || file.put->entry.id != id) continue;
    const ScannedFile scanned = scanned_of(file);
    EntryChange change;
    change.id = id;
    change.put = std::move(*file.put);
    change.freshness = fresh;
    change.base = row.revision;
    ARTCACHE_TRY(const ApplyResult applied, index.apply({.changes = {&change, 1},
                                                         .fence = fence,
                                                         .scanned = {&scanned, 1},
                                                         .unscanned = unscanned},
                                                        call));
    return applied.outcomes.front() == ChangeOutcome::moved ? Settled::moved : Settled::replaced;
  }
  const Gone entry{id, row.revision, own == Standing::gone ? row.sidecar_path : std::string()};
  ARTCACHE_TRY(const auto removed, remove({&entry, 1}));
  return removed.front() != 0 ? Settled::removed : Settled::moved;
}

Result<std::vector<char>> Succession::remove(std::span<const Gone> gone) const {
  std::vector<EntryChange> changes;
  std::vector<std::string_view> paths;
  for (const Gone& entry : gone) {
    EntryChange& change = changes.emplace_back();
    change.kind = EntryChange::Kind::remove;
    change.id = entry.id;
    change.base = entry.revision;
    if (!entry.path.empty()) paths.push_back(entry.path);
  }
  ARTCACHE_TRY(const ApplyResult applied,
               index.apply({.changes = changes, .fence = fence, .unscanned = paths}, call));
  std::vector<char> removed;
  for (const ChangeOutcome outcome : applied.outcomes)
    removed.push_back(outcome == ChangeOutcome::removed ? 1 : 0);
  return removed;
}

}  // namespace artcache::reconcile
