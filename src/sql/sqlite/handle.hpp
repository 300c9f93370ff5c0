// SPDX-License-Identifier: Apache-2.0
// The connection and the statement behind connection.hpp.
#pragma once

#include <sqlite3.h>

#include <artcache/call.hpp>
#include <artcache/result.hpp>
#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "sql/sql.hpp"
#include "sql/sqlite/connection.hpp"
#include "sql/sqlite/error.hpp"
#include "sql/sqlite/place.hpp"

namespace artcache::sql {

class SqliteConnection;

struct SqliteClose {
  void operator()(sqlite3* db) const { sqlite3_close(db); }
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using SqliteHandle = std::unique_ptr<sqlite3, SqliteClose>;
using SqliteStatementHandle = std::unique_ptr<sqlite3_stmt, SqliteClose>;

/// How long a connection may wait, as its call says.
class Patience {
 public:
  static constexpr std::chrono::nanoseconds kStep = std::chrono::microseconds(500);

  explicit Patience(const Clock& clock) : clock_(clock) {}
  void set_call(const Call* call) { call_ = call; }
  /// Sleeps a step, or what is left; false, without sleeping, when there is nothing left.
  [[nodiscard]] bool wait() const;
  /// cancelled or timed_out when the call is over.
  [[nodiscard]] std::optional<Errc> over() const;
  /// Errors: cancelled, timed_out.
  [[nodiscard]] Result<void> check(const char* operation, const std::string& path) const;

 private:
  const Clock& clock_;
  const Call* call_ = nullptr;
};

class SqliteStatement final : public Statement {
 public:
  SqliteStatement(SqliteConnection& owner, SqliteStatementHandle handle, std::string text);
  ~SqliteStatement() override;
  SqliteStatement(SqliteStatement&&) = delete;
  SqliteStatement& operator=(SqliteStatement&&) = delete;

  Statement& bind(int parameter, std::int64_t number) override;
  Statement& bind(int parameter, double number) override;
  Statement& bind(int parameter, std::string_view text) override;
  Statement& bind(int parameter, Bytes bytes) override;
  Statement& bind_null(int parameter) override;

  Result<bool> step() override;
  Result<std::int64_t> run() override;
  void reset() override;

  [[nodiscard]] bool is_null(int column) const override;
  [[nodiscard]] std::int64_t integer(int column) const override;
  [[nodiscard]] double real(int column) const override;
  [[nodiscard]] std::string_view text(int column) const override;
  [[nodiscard]] Bytes blob(int column) const override;

  [[nodiscard]] std::string_view sql() const { return sql_; }
  [[nodiscard]] bool active() const { return active_; }

 private:
  Statement& bound(int code);
  void set_active(bool active);

  SqliteConnection& owner_;
  SqliteStatementHandle handle_;
  std::string sql_;
  bool writes_;
  bool active_ = false;  ///< between the first row and the end: it holds a snapshot
  int bind_code_ = SQLITE_OK;
};

class SqliteConnection final : public Connection {
 public:
  SqliteConnection(const SqliteOptions& options, SqliteHandle handle);
  ~SqliteConnection() override;
  SqliteConnection(SqliteConnection&&) = delete;
  SqliteConnection& operator=(SqliteConnection&&) = delete;

  /// Sets up what a connection needs once, see open.cpp.
  Result<void> prepare_for_use(const SqliteOptions& options);
  /// From now on the file is taken to stand still.
  void set_frozen(FrozenFile file) { frozen_ = std::move(file); }

  void set_call(const Call* call) override;
  Result<Statement*> prepare(std::string_view sql) override;
  Result<void> execute(std::string_view sql) override;
  Result<bool> has_table(std::string_view name) override;
  Result<void> begin(TransactionKind kind) override;
  Result<void> commit() override;
  void rollback() override;
  [[nodiscard]] bool in_transaction() const override { return kind_.has_value(); }
  [[nodiscard]] bool healthy() const override { return healthy_; }

  /// For statements.
  [[nodiscard]] sqlite3* db() const { return db_.get(); }
  /// Whether a statement may begin now. Errors: what undid the transaction, timed_out, cancelled,
  /// internal (it writes, in a read transaction).
  Result<void> admit(bool writes, std::string_view sql);
  /// After a step failed with `code` before its first row: waits, and true when it is worth trying
  /// again.
  [[nodiscard]] bool may_retry(int code) const;
  Error failure(const SqliteFailure& failure, const char* operation);
  /// Whether what was read can be believed. Errors: see FrozenFile.
  [[nodiscard]] Result<void> check_frozen() const;
  void count_active(int by) { active_ += by; }

 private:
  Result<SqliteStatementHandle> compile(std::string_view sql, std::string_view* rest);
  Result<void> compile_own();
  /// Without rows or parameters. SQLITE_DONE, or what stood in the way.
  int run_own(sqlite3_stmt* statement);
  Result<void> choose_wal();
  void reset_active();
  void trim();
  [[nodiscard]] bool undone() const;

  const std::string path_;
  Patience patience_;
  SqliteHandle db_;
  SqliteStatementHandle begin_read_, begin_write_, commit_, rollback_;

  std::optional<TransactionKind> kind_;
  std::optional<Error> undone_by_;  ///< the error with which SQLite ended this transaction
  bool finishing_ = false;          ///< in COMMIT, which nothing may cut off
  bool healthy_ = true;
  int active_ = 0;  ///< statements that hold a snapshot
  std::optional<FrozenFile> frozen_;

  /// Used last in front. The keys point into the statements.
  std::list<SqliteStatement> statements_;
  std::unordered_map<std::string_view, std::list<SqliteStatement>::iterator> by_text_;
};

}  // namespace artcache::sql
