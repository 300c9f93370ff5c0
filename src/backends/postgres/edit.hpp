// SPDX-License-Identifier: Apache-2.0
// What several requests together make of the rows they name: decided here, written in one go.
#pragma once

#include <artcache/metadata_store.hpp>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "backends/postgres/schema.hpp"
#include "sql/postgres/connection.hpp"

namespace artcache::postgres {

/// One row as it stands, locked.
struct StoredRow {
  ContentHash hash;
  std::uint64_t revision = 0;
  Freshness freshness;
  Timestamp updated_at;
  std::string path;  ///< of the sidecar that gave it its content
};

/// Applies requests to rows in memory, in order. No I/O.
class Edit {
 public:
  /// Every id that the requests change.
  static std::vector<FileId> ids_of(std::span<const ApplyRequest* const> requests);

  void know(const FileId& id, const StoredRow& row);
  /// A row that is not there, and the seq of its removal.
  void know_removed(const FileId& id, std::uint64_t seq) { rows_[id].removed_at = seq; }
  /// The first seq that the log still tells of.
  void know_oldest(std::uint64_t seq) { oldest_seq_ = seq; }
  /// A bulk load is to be told what this edit touches.
  void know_loading() { loading_ = true; }
  /// The outcome of each change. Requests must outlive the edit.
  std::vector<ChangeOutcome> apply(const ApplyRequest& request);

  /// Binds what is to be written and returns the statements, to be run in their order.
  Result<std::vector<sql::Statement*>> statements(sql::Connection& connection,
                                                  const Names& names) const;

 private:
  struct Row {
    std::optional<StoredRow> before;  ///< in the table
    bool there = false;
    bool changed = false;                ///< content, by this edit: its revision is not known yet
    const PreparedEntry* put = nullptr;  ///< its content, if this edit gave it one
    ContentHash hash;
    Freshness freshness;
    Timestamp updated_at;
    std::string path;
    std::uint64_t removed_at = 0;
  };
  [[nodiscard]] bool moved(const EntryChange& change, const Row& row) const;
  ChangeOutcome change(const EntryChange& change, std::string_view path, TwinRule twins);
  ChangeOutcome put(const EntryChange& change, Row& row, std::string_view path, TwinRule twins);
  void touch(const FileId& id, Row& row);
  void scan(const ApplyRequest& request, const std::set<FileId>& moved);
  Result<void> rows(sql::Connection& connection, const Names& names,
                    std::vector<sql::Statement*>& out) const;
  Result<void> freshened(sql::Connection& connection, const Names& names,
                         std::vector<sql::Statement*>& out) const;
  Result<void> scanned(sql::Connection& connection, const Names& names,
                       std::vector<sql::Statement*>& out) const;
  Result<void> touched(sql::Connection& connection, const Names& names,
                       std::vector<sql::Statement*>& out) const;

  std::unordered_map<FileId, Row> rows_;
  std::vector<FileId> order_;       ///< ids in the order of their first change: that of the log
  std::map<FileId, bool> touched_;  ///< also where nothing changed: true for what was removed
  std::unordered_map<std::string, const ScannedFile*> scanned_;  ///< nullptr: to be taken out
  std::vector<FileId> finished_;
  bool loading_ = false;
  std::uint64_t oldest_seq_ = 1;
};

}  // namespace artcache::postgres
