// SPDX-License-Identifier: Apache-2.0
#include "sql/sqlite/connection.hpp"

#include <algorithm>
#include <cassert>
#include <thread>
#include <utility>

#include "sql/sqlite/handle.hpp"
#include "util/try.hpp"

namespace artcache::sql {

// --- Waiting ------------------------------------------------------------------------------------

bool Patience::wait() const {
  if (call_ == nullptr || over()) return false;
  std::this_thread::sleep_for(std::min(kStep, call_->remaining(clock_)));
  return true;
}

std::optional<Errc> Patience::over() const {
  if (call_ == nullptr) return std::nullopt;
  if (call_->stop.stop_requested()) return Errc::cancelled;
  if (call_->has_deadline() && clock_.steady() >= call_->deadline) return Errc::timed_out;
  return std::nullopt;
}

Result<void> Patience::check(const char* operation, const std::string& path) const {
  const auto code = over();
  if (!code) return {};
  return Error{*code, std::string("sqlite: ") + operation + " '" + path +
                          "': " + (*code == Errc::cancelled ? "stopped" : "the deadline passed")};
}

void SqliteConnection::set_call(const Call* call) {
  patience_.set_call(call);
  trim();
}

// --- Statements ---------------------------------------------------------------------------------

Result<SqliteStatementHandle> SqliteConnection::compile(std::string_view sql,
                                                        std::string_view* rest) {
  for (;;) {
    sqlite3_stmt* made = nullptr;
    const char* tail = nullptr;
    // A length of more than 2 GB would wrap; SQLite refuses texts long before that.
    const int size = static_cast<int>(std::min<std::size_t>(sql.size(), 0x7fffffff));
    const int code =
        sqlite3_prepare_v3(db_.get(), sql.data(), size, SQLITE_PREPARE_PERSISTENT, &made, &tail);
    SqliteStatementHandle handle(made);
    if (code == SQLITE_OK) {
      *rest = sql.substr(static_cast<std::size_t>(tail - sql.data()));
      return handle;
    }
    const SqliteFailure seen = SqliteFailure::of(db_.get(), code);
    if (!may_retry(code)) return failure(seen, "prepare");
  }
}

Result<Statement*> SqliteConnection::prepare(std::string_view sql) {
  if (const auto found = by_text_.find(sql); found != by_text_.end()) {
    statements_.splice(statements_.begin(), statements_, found->second);
    found->second->reset();
    return &*found->second;
  }
  std::string_view rest;
  ARTCACHE_TRY(auto handle, compile(sql, &rest));
  if (handle == nullptr || rest.find_first_not_of(" \t\r\n;") != std::string_view::npos)
    return Error{Errc::internal, "sqlite: prepare '" + path_ + "': not exactly one statement: " +
                                     std::string(sql.substr(0, 200))};
  statements_.emplace_front(*this, std::move(handle), std::string(sql));
  by_text_.emplace(statements_.front().sql(), statements_.begin());
  return &statements_.front();
}

void SqliteConnection::trim() {
  while (statements_.size() > kSqliteStatementsMost && !statements_.back().active()) {
    by_text_.erase(statements_.back().sql());
    statements_.pop_back();
  }
}

void SqliteConnection::reset_active() {
  for (auto& statement : statements_) {
    if (active_ == 0) return;
    if (statement.active()) statement.reset();
  }
}

Result<void> SqliteConnection::execute(std::string_view sql) {
  while (!sql.empty()) {
    std::string_view rest;
    ARTCACHE_TRY(auto handle, compile(sql, &rest));
    if (handle != nullptr) {  // null: only spaces or a comment
      SqliteStatement statement(*this, std::move(handle), std::string(sql.substr(0, 200)));
      if (auto done = statement.run(); !done) return std::move(done).error();
    }
    sql = rest;
  }
  return {};
}

Result<bool> SqliteConnection::has_table(std::string_view name) {
  ARTCACHE_TRY(Statement * found, prepare("SELECT 1 FROM sqlite_master WHERE type IN "
                                          "('table', 'view') AND name = $1"));
  ARTCACHE_TRY(const bool row, found->bind(0, name).step());
  found->reset();
  return row;
}

// --- Errors -------------------------------------------------------------------------------------

bool SqliteConnection::undone() const { return kind_ && sqlite3_get_autocommit(db_.get()) != 0; }

Result<void> SqliteConnection::check_frozen() const {
  if (!frozen_) return {};
  return frozen_->check();
}

Result<void> SqliteConnection::admit(bool writes, std::string_view sql) {
  if (!kind_) return patience_.check("run", path_);
  if (undone() && undone_by_) return *undone_by_;
  if (writes && *kind_ == TransactionKind::read)
    return Error{Errc::internal, "sqlite: run '" + path_ + "': writes in a read transaction: " +
                                     std::string(sql.substr(0, 200))};
  return {};
}

bool SqliteConnection::may_retry(int code) const {
  const int primary = code & 0xff;
  // With a lock or a snapshot in our hands waiting would not help, and might stop the others.
  return (primary == SQLITE_BUSY || primary == SQLITE_PROTOCOL) &&
         sqlite3_txn_state(db_.get(), nullptr) == SQLITE_TXN_NONE && patience_.wait();
}

Error SqliteConnection::failure(const SqliteFailure& failure, const char* operation) {
  // The other statements of a transaction that SQLite has ended.
  if (failure.primary() == SQLITE_ABORT && undone_by_) return *undone_by_;
  Error error = sqlite_error(failure, path_, operation, patience_.over());
  if (error.code == Errc::corrupt || error.code == Errc::unavailable) healthy_ = false;
  if (undone() && !undone_by_) undone_by_ = error;
  return error;
}

// --- Transactions -------------------------------------------------------------------------------

int SqliteConnection::run_own(sqlite3_stmt* statement) {
  for (;;) {
    const int code = sqlite3_step(statement);
    if (code == SQLITE_DONE) {
      sqlite3_reset(statement);
      return code;
    }
    // Keeps the connection's message: resetting after a failure repeats it.
    sqlite3_reset(statement);
    if (!may_retry(code)) return code;
  }
}

Result<void> SqliteConnection::begin(TransactionKind kind) {
  if (kind_)
    return Error{Errc::internal, "sqlite: begin '" + path_ + "': a transaction is open already"};
  // A statement half read would hold an old snapshot, on which nothing can be written.
  reset_active();
  trim();
  ARTCACHE_CHECK(patience_.check("begin", path_));
  ARTCACHE_CHECK(check_frozen());
  const bool writes = kind == TransactionKind::write;
  const int code = run_own(writes ? begin_write_.get() : begin_read_.get());
  if (code != SQLITE_DONE) return failure(SqliteFailure::of(db_.get(), code), "begin");
  kind_ = kind;
  undone_by_.reset();
  return {};
}

Result<void> SqliteConnection::commit() {
  if (!kind_)
    return Error{Errc::internal, "sqlite: commit '" + path_ + "': there is no transaction"};
  reset_active();
  const bool writes = *kind_ == TransactionKind::write;
  std::optional<Error> stopped;
  if (undone())
    stopped = undone_by_.value_or(
        Error{Errc::internal, "sqlite: commit '" + path_ + "': the transaction was undone"});
  else if (auto in_time = patience_.check("commit", path_); writes && !in_time)
    stopped = std::move(in_time).error();
  if (stopped) {
    rollback();
    return *std::move(stopped);
  }

  finishing_ = true;
  const int code = run_own(commit_.get());
  finishing_ = false;
  if (code == SQLITE_DONE) {
    kind_.reset();
    return check_frozen();
  }
  const SqliteFailure seen = SqliteFailure::of(db_.get(), code);
  rollback();
  Error error = failure(seen, "commit");
  // The commit frame is the last thing written to the log, then the log is synced. A full disk cuts
  // the frame short, which its checksum betrays. When writing or syncing fails otherwise, SQLite
  // goes on without the transaction, but its frame may be whole in the file: unless a later commit
  // overwrites it, recovery after a crash finds it and brings the transaction back.
  if (writes && seen.primary() == SQLITE_IOERR) error.outcome = Outcome::unknown;
  return error;
}

void SqliteConnection::rollback() {
  reset_active();
  if (sqlite3_get_autocommit(db_.get()) == 0) {
    // A deadline that has passed must not keep the lock.
    finishing_ = true;
    run_own(rollback_.get());
    finishing_ = false;
  }
  kind_.reset();
  undone_by_.reset();
}

}  // namespace artcache::sql
