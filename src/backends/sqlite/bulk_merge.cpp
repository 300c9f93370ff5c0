// SPDX-License-Identifier: Apache-2.0
// What writers did while a bulk load ran, taken over into its tables.
#include <algorithm>

#include "backends/sqlite/bulk.hpp"
#include "util/try.hpp"

namespace artcache::sqlite {
namespace {

/// In one transaction, which others wait for.
constexpr std::int64_t kMergedAtOnce = 2000;

struct Key {
  Touched kind = Touched::entry;
  std::string bytes;
};

Result<std::vector<Key>> read_touched(sql::Connection& connection, const Names& names,
                                      std::int64_t* last) {
  ARTCACHE_TRY(sql::Statement * s,
               connection.prepare(
                   names.text("SELECT number, kind, key FROM {p}touched ORDER BY number LIMIT ?")));
  s->bind(0, kMergedAtOnce);
  std::vector<Key> keys;
  while (true) {
    ARTCACHE_TRY(const bool found, s->step());
    if (!found) return keys;
    *last = s->integer(0);
    const sql::Bytes key = s->blob(2);
    keys.push_back({static_cast<Touched>(s->integer(1)),
                    std::string(reinterpret_cast<const char*>(key.data()), key.size())});
  }
}

Result<FileId> id_of(const std::string& key) {
  FileId::Bytes bytes{};
  if (key.size() != bytes.size())
    return Error{Errc::corrupt, "sqlite index: a bad id in what a bulk load has to take over"};
  std::copy(key.begin(), key.end(), bytes.begin());
  return FileId(bytes);
}

}  // namespace

/// What was written wins over what was read from the storage before or while it was.
class Bulk::Merge {
 public:
  Merge(Bulk& bulk, sql::Connection& connection, std::uint64_t old_generation)
      : bulk_(bulk),
        connection_(connection),
        old_rows_(connection, bulk.names_, old_generation),
        new_rows_(connection, bulk.names_, bulk.generation_, bulk.next_row_),
        old_scan_(connection, bulk.names_, old_generation),
        new_scan_(connection, bulk.names_, bulk.generation_) {}

  Result<void> take_over(const Key& key) {
    if (key.kind == Touched::path) return take_over_path(key.bytes);
    ARTCACHE_TRY(const FileId id, id_of(key.bytes));
    return take_over_entry(id);
  }
  Result<void> flush() { return new_scan_.flush(); }

 private:
  Result<void> take_over_entry(const FileId& id) {
    ARTCACHE_TRY(const auto ours, new_rows_.find(id));
    ARTCACHE_TRY(const auto theirs, old_rows_.find(id));
    if (ours && theirs && ours->entry.hash == theirs->entry.hash && ours->path() == theirs->path())
      return take_over_writing(*ours, *theirs);
    if (ours) {
      bulk_.count_out(ours->entry);
      ARTCACHE_CHECK(new_rows_.remove(*ours));
      // To be read again: what it says now is not what its entry says.
      ARTCACHE_CHECK(new_scan_.remove(ours->path()));
    }
    return theirs ? insert(*theirs) : Result<void>();
  }

  /// Whoever read the entry before it was written so must find that it has moved; a later revision
  /// than the loaded row has is never made an earlier one.
  Result<void> take_over_writing(const RowWriter::Current& ours, const RowWriter::Current& theirs) {
    const std::uint64_t revision = std::max(ours.entry.revision, theirs.entry.revision);
    return new_rows_.set_written(ours.row, revision, theirs.entry.freshness);
  }

  Result<void> insert(const RowWriter::Current& theirs) {
    const PreparedEntry prepared = prepare(theirs.entry.entry);
    // Falsified content must not get a hash that vouches for it.
    if (prepared.hash != theirs.entry.hash) return falsified(prepared.entry.id);
    ARTCACHE_TRY(const std::int64_t number,
                 new_rows_.insert({&prepared, theirs.entry.revision, theirs.entry.freshness,
                                   theirs.sidecar_path}));
    bulk_.next_row_ = number + 1;
    ARTCACHE_CHECK(new_rows_.add_words(number, prepared.tokens));
    bulk_.count_in(theirs.entry);
    ARTCACHE_TRY(const auto scanned, old_scan_.find(theirs.path()));
    return scanned ? new_scan_.put(*scanned) : Result<void>();
  }

  Result<void> take_over_path(std::string_view path) {
    ARTCACHE_TRY(const auto scanned, old_scan_.find(path));
    if (!scanned) return new_scan_.remove(path);
    ARTCACHE_TRY(const auto entry, new_rows_.find(scanned->id));
    // An entry that nobody has loaded must not look as if its file had been read.
    if (!entry) return new_scan_.remove(path);
    const std::string known = entry->path();
    if (known != path)
      for (const std::string_view twin : {path, std::string_view(known)})
        ARTCACHE_CHECK(add_twin(connection_, bulk_.names_, bulk_.generation_, scanned->id, twin));
    return new_scan_.put(*scanned);
  }

  Bulk& bulk_;
  sql::Connection& connection_;
  RowWriter old_rows_, new_rows_;
  ScanWriter old_scan_, new_scan_;
};

Result<bool> Bulk::merge(sql::Connection& connection, const HeadRow& head) {
  std::int64_t last = 0;
  ARTCACHE_TRY(const std::vector<Key> keys, read_touched(connection, names_, &last));
  Merge merge(*this, connection, head.head.generation);
  for (const Key& key : keys) ARTCACHE_CHECK(merge.take_over(key));
  ARTCACHE_CHECK(merge.flush());
  ARTCACHE_TRY(sql::Statement * s,
               connection.prepare(names_.text("DELETE FROM {p}touched WHERE number <= ?")));
  s->bind(0, last);
  ARTCACHE_CHECK(s->run());
  return keys.size() < static_cast<std::size_t>(kMergedAtOnce);
}

}  // namespace artcache::sqlite
