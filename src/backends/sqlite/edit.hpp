// SPDX-License-Identifier: Apache-2.0
// The changes of one write transaction: rows, words, scan table, log, head.
#pragma once

#include <artcache/metadata_store.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>

#include "backends/sqlite/columns.hpp"
#include "backends/sqlite/head.hpp"
#include "backends/sqlite/schema.hpp"
#include "backends/sqlite/tables.hpp"
#include "sql/sql.hpp"

namespace artcache::sqlite {

/// Rows and words of one generation; what apply() and a bulk load have in common. For one
/// transaction.
class RowWriter {
 public:
  /// `next_row` saves asking the engine for the first free row number, where it is known.
  RowWriter(sql::Connection& connection, const Names& names, std::uint64_t generation,
            std::int64_t next_row = 0)
      : tables_(connection, names, generation), next_row_(next_row) {}

  /// What a change needs to know of the row as it stands.
  struct Current {
    std::int64_t row = 0;
    IndexedEntry entry;
    std::string sidecar_path;  ///< as stored: empty when it is the expected one
    [[nodiscard]] std::string path() const {
      return sidecar_path.empty() ? expected_sidecar_path(entry.entry) : sidecar_path;
    }
  };
  Result<std::optional<Current>> find(const FileId& id);
  /// What decides whether there is anything to do, at a fraction of the cost of find().
  struct Glance {
    std::int64_t row = 0;
    ContentHash hash;
    std::uint64_t revision = 0;
    Freshness freshness;
    std::string sidecar_path;  ///< as stored
  };
  Result<std::optional<Glance>> glance(const FileId& id);
  /// More than one only while a bulk load has not been indexed yet.
  Result<std::vector<Current>> find_all(const FileId& id);
  /// Returns the new row's number.
  Result<std::int64_t> insert(const EntryRow& row);
  Result<void> update(const Current& old, const EntryRow& row);
  Result<void> remove(const Current& old);
  Result<void> freshen(std::int64_t row, const Freshness& freshness);
  /// The content is as it was, but was written later.
  Result<void> set_written(std::int64_t row, std::uint64_t revision, const Freshness& freshness);
  /// The freshness by id; false when there is no such row, or its revision is above `newest`.
  Result<bool> freshen(const FileId& id, std::uint64_t newest, const Freshness& freshness);
  Result<void> set_sidecar_path(std::int64_t row, std::string_view path);
  Result<void> add_words(std::int64_t row, const SearchTokens& tokens) {
    return add_words(row, tokens.name, tokens.tags, tokens.rest);
  }
  Result<void> add_words(std::int64_t row, std::string_view name, std::string_view tags,
                         std::string_view rest);
  Result<void> remove_words(std::int64_t row, const SearchTokens& tokens);

 private:
  const Tables tables_;
  struct {
    sql::Statement *find = nullptr, *glance = nullptr, *insert = nullptr, *last = nullptr,
                   *update = nullptr, *remove = nullptr, *freshen = nullptr, *freshen_id = nullptr,
                   *set_written = nullptr, *set_path = nullptr, *add_words = nullptr,
                   *remove_words = nullptr;
  } statements_;
  BindBuffers buffers_;
  std::int64_t next_row_;  // 0: not known yet
};

/// The scan table of one generation, with the leaf touched last kept open. For one transaction.
class ScanWriter {
 public:
  ScanWriter(sql::Connection& connection, const Names& names, std::uint64_t generation)
      : tables_(connection, names, generation) {}

  /// Paths that come in order are cheap: a leaf is written when another one is needed.
  Result<void> put(const ScannedFile& file);
  Result<void> remove(std::string_view path);
  Result<std::optional<ScannedFile>> find(std::string_view path);
  /// Writes the open leaf. To be called at the end.
  Result<void> flush();

 private:
  struct Leaf;
  Result<void> open(std::string_view folder, std::string_view name);
  Result<void> store(std::string_view low, const std::string& packed, std::int64_t row);

  const Tables tables_;
  struct {
    sql::Statement *find = nullptr, *next = nullptr, *insert = nullptr, *update = nullptr,
                   *remove = nullptr;
  } statements_;
  std::shared_ptr<Leaf> leaf_;
};

/// The scan rows of these paths in one generation; quick when they come folder by folder.
Result<std::vector<std::optional<ScannedFile>>> find_scanned(
    sql::Connection& connection, const Names& names, std::uint64_t generation,
    std::span<const std::string_view> paths);

/// In place of another one of the same id.
Result<void> put_intent(sql::Connection& connection, const Names& names, const Intent& intent);

/// Fails when the holder that this fence was minted for has been replaced. 0 is no holder.
/// Errors: lease_lost.
Result<void> check_fence(sql::Connection& connection, const Names& names, std::uint64_t fence);

/// Notes that an id was found under more paths than its row tells.
Result<void> add_twin(sql::Connection& connection, const Names& names, std::uint64_t generation,
                      const FileId& id, std::string_view path);

/// What the table `touched` tells a bulk load: that writers had to do with an entry, or with a path
/// of the scan table, since it began.
enum class Touched : std::uint8_t { entry, path };
/// A load that lets more than so many come together has to begin anew.
inline constexpr std::int64_t kTouchedMost = 100'000;

/// Applies requests, one after the other, inside a transaction that is open already; flush() once
/// before its commit.
class Edit {
 public:
  Edit(sql::Connection& connection, const Names& names, const HeadRow& head, Timestamp now);

  /// Errors: lease_lost before anything of this request was written, else those of the engine,
  /// after which the whole transaction must be rolled back.
  Result<ApplyResult> apply(const ApplyRequest& request);
  /// Writes what is left, and the head, and trims the log.
  Result<void> flush(const LogRetention& retention);

  [[nodiscard]] const HeadRow& head() const { return head_; }

 private:
  Result<ChangeOutcome> change(const EntryChange& change, std::string_view sidecar_path);
  Result<ChangeOutcome> freshen(const EntryChange& change);
  Result<bool> moved(const EntryChange& change, const std::optional<RowWriter::Glance>& old);
  Result<bool> removed_since(std::uint64_t seq, const FileId& id);
  Result<ChangeOutcome> put(const EntryChange& change, const std::optional<RowWriter::Glance>& old,
                            std::string_view sidecar_path);
  Result<void> keep_twin(const FileId& id, const std::string& path);
  Result<ChangeOutcome> insert(const EntryChange& change, std::string_view sidecar_path);
  Result<ChangeOutcome> update(const EntryChange& change, const RowWriter::Current& old,
                               std::string_view sidecar_path);
  Result<ChangeOutcome> remove(const EntryChange& change);
  Result<void> log(LogRow::Kind kind, const FileId& id, const ContentHash* hash,
                   std::string_view payload);
  Result<void> note_path(const ScannedFile& file);
  Result<void> forget_path(std::string_view path);
  Result<void> touch(const FileId& id);
  Result<void> touch(std::string_view path);
  Result<void> touch(Touched kind, sql::Bytes key);
  Result<void> end_load_left_behind();

  sql::Connection& connection_;
  const Names& names_;
  HeadRow head_;
  Timestamp now_;
  std::uint64_t changes_ = 0;
  bool touched_ = false;
  TwinRule twins_ = TwinRule::last_wins;
  /// Ids that the log says were removed after `removed_after_`; asked for once a request.
  std::optional<std::uint64_t> removed_after_;
  std::unordered_set<FileId> removed_;
  RowWriter rows_;
  ScanWriter scan_;
  LogWriter log_;
};

}  // namespace artcache::sqlite
