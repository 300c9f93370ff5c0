// SPDX-License-Identifier: Apache-2.0
// What a database is to artcache: connections, prepared statements, transactions, a pool. One
// interface over SQLite and libpq; SQL texts belong to those who use it.
#pragma once

#include <artcache/call.hpp>
#include <artcache/result.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace artcache::sql {

using Bytes = std::span<const std::uint8_t>;

/// One prepared statement of one connection. Parameters and columns count from 0. Bound texts and
/// bytes must live until the statement is reset or stepped to its end; so must what text() and
/// blob() return be used before the next step. Texts keep their NULs; a NaN is stored as NULL.
class Statement {
 public:
  virtual ~Statement() = default;

  virtual Statement& bind(int parameter, std::int64_t number) = 0;
  virtual Statement& bind(int parameter, double number) = 0;
  virtual Statement& bind(int parameter, std::string_view text) = 0;
  virtual Statement& bind(int parameter, Bytes bytes) = 0;
  virtual Statement& bind_null(int parameter) = 0;

  /// True when there is a row to read, false at the end, after which (as after an error) the
  /// statement is reset by itself. Errors: conflict (a unique key), timed_out, cancelled, no_space,
  /// corrupt, unavailable, invalid_argument (a value is too big), busy (others hold it and no call
  /// is set). Many errors undo the whole transaction: every further step and the commit then fail
  /// with that error, and nothing slips out of the transaction.
  virtual Result<bool> step() = 0;
  /// Steps to the end and returns the number of rows changed. Errors: as step().
  virtual Result<std::int64_t> run() = 0;
  /// Lets go of the rows; bindings are forgotten. Safe to call at any time.
  virtual void reset() = 0;

  [[nodiscard]] virtual bool is_null(int column) const = 0;
  [[nodiscard]] virtual std::int64_t integer(int column) const = 0;
  [[nodiscard]] virtual double real(int column) const = 0;
  [[nodiscard]] virtual std::string_view text(int column) const = 0;
  [[nodiscard]] virtual Bytes blob(int column) const = 0;
};

enum class TransactionKind : std::uint8_t {
  read,   ///< one snapshot for all statements in it
  write,  ///< holds the right to write from its beginning (BEGIN IMMEDIATE)
};

/// For one thread at a time. Deadline and stop token of the call set last bound every wait and
/// every statement; a commit, once it writes, runs to its end.
class Connection {
 public:
  virtual ~Connection() = default;

  /// The call on whose behalf the next statements run; must outlive them. Without one (nullptr)
  /// nothing waits.
  virtual void set_call(const Call* call) = 0;

  /// The prepared statement of this text, made at first use and kept; reset. Not to be asked for
  /// again while it is in use; valid at least until the next begin() or set_call(), which let go
  /// of those used longest ago. Errors: internal (the text is wrong), corrupt, unavailable.
  virtual Result<Statement*> prepare(std::string_view sql) = 0;
  /// Several statements without parameters or rows. Errors: as Statement::step().
  virtual Result<void> execute(std::string_view sql) = 0;
  /// Whether there is a table or view of this name.
  virtual Result<bool> has_table(std::string_view name) = 0;

  /// Resets all statements. Writing in a read transaction is an error (internal).
  /// Errors: timed_out (also: others wrote until the deadline), cancelled, unavailable, busy.
  virtual Result<void> begin(TransactionKind kind) = 0;
  /// Ends the transaction in any case; resets all statements. Errors: as Statement::step(); outcome
  /// unknown where it may have become durable. timed_out and cancelled: nothing was applied.
  virtual Result<void> commit() = 0;
  /// Safe to call at any time.
  virtual void rollback() = 0;
  [[nodiscard]] virtual bool in_transaction() const = 0;
  /// False after an error that another connection might not have: not worth keeping.
  [[nodiscard]] virtual bool healthy() const = 0;
};

/// Rolls back at the end of its scope unless commit() was called.
class Transaction {
 public:
  /// Errors: as Connection::begin().
  static Result<Transaction> begin(Connection& connection, TransactionKind kind);
  ~Transaction();
  Transaction(Transaction&& other) noexcept : connection_(other.connection_) {
    other.connection_ = nullptr;
  }
  Transaction& operator=(Transaction&&) = delete;
  /// Once. Errors: as Connection::commit().
  Result<void> commit();

 private:
  explicit Transaction(Connection& connection) : connection_(&connection) {}
  Connection* connection_;
};

/// One step of a schema. Steps run in order, each in a transaction together with the number.
struct Migration {
  std::uint32_t version;
  std::string_view sql;
};

}  // namespace artcache::sql
