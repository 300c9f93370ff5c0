// SPDX-License-Identifier: Apache-2.0
// The database of a role, SQLite or PostgreSQL: transactions, and statements that bind themselves.
#pragma once

#include <artcache/backends.hpp>
#include <artcache/call.hpp>
#include <artcache/result.hpp>
#include <artcache/timestamp.hpp>
#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sql/pool.hpp"
#include "sql/sql.hpp"
#include "util/try.hpp"

namespace artcache::db {

enum class Engine : std::uint8_t { sqlite, postgres };

/// The text of a schema in the words of an engine: {time}, {flag}, {serial} and {bytes} stand for
/// what each calls them.
std::string in_words_of(Engine engine, std::string_view text);

/// One row, read from the left: each call takes the next column.
class Row {
 public:
  explicit Row(const sql::Statement& statement) : statement_(statement) {}
  std::string text() { return std::string(statement_.text(column_++)); }
  std::int64_t number() { return statement_.integer(column_++); }
  bool flag() { return number() != 0; }
  Timestamp time() { return Timestamp(std::chrono::microseconds(number())); }
  /// Of the column that comes next, which stays the next one.
  [[nodiscard]] bool is_null() const { return statement_.is_null(column_); }
  /// Until the next row.
  sql::Bytes bytes() { return statement_.blob(column_++); }
  std::optional<Timestamp> maybe_time() { return maybe(&Row::time); }
  std::optional<std::string> maybe_text() { return maybe(&Row::text); }
  std::optional<std::int64_t> maybe_number() { return maybe(&Row::number); }

 private:
  template <class T>
  std::optional<T> maybe(T (Row::*read)()) {
    if (!statement_.is_null(column_)) return (this->*read)();
    ++column_;
    return std::nullopt;
  }
  const sql::Statement& statement_;
  int column_ = 0;
};

/// One transaction. Values are bound to $1, $2, … in the order given, which is the order in which
/// these first stand in the text, as SQLite counts them.
class Session {
 public:
  Session(sql::Connection& connection, Engine engine) : connection_(connection), engine_(engine) {}

  /// The number of rows changed. Errors: those of the statement; conflict for a unique key.
  template <class... Values>
  Result<std::int64_t> run(std::string_view text, const Values&... values) {
    ARTCACHE_TRY(sql::Statement * statement, prepared(text, values...));
    return statement->run();
  }

  /// `read(Row)` of every row.
  template <class Read, class... Values>
  auto all(std::string_view text, Read read, const Values&... values)
      -> Result<std::vector<decltype(read(std::declval<Row>()))>> {
    std::vector<decltype(read(std::declval<Row>()))> out;
    ARTCACHE_TRY(sql::Statement * statement, prepared(text, values...));
    for (;;) {
      ARTCACHE_TRY(const bool found, statement->step());
      if (!found) return out;
      out.push_back(read(Row(*statement)));
    }
  }

  /// That of the first row; nothing when there is none.
  template <class Read, class... Values>
  auto one(std::string_view text, Read read, const Values&... values)
      -> Result<std::optional<decltype(read(std::declval<Row>()))>> {
    ARTCACHE_TRY(sql::Statement * statement, prepared(text, values...));
    std::optional<decltype(read(std::declval<Row>()))> out;
    ARTCACHE_TRY(const bool found, statement->step());
    if (found) out = read(Row(*statement));
    statement->reset();
    return out;
  }

  /// `visit(Row)`, a Result<void>, of every row, until one is an error.
  template <class Visit, class... Values>
  Result<void> each(std::string_view text, Visit visit, const Values&... values) {
    ARTCACHE_TRY(sql::Statement * statement, prepared(text, values...));
    for (;;) {
      ARTCACHE_TRY(const bool found, statement->step());
      if (!found) return {};
      if (auto done = visit(Row(*statement)); !done) {
        statement->reset();
        return done;
      }
    }
  }

  /// Of a count(*).
  template <class... Values>
  Result<std::int64_t> count(std::string_view text, const Values&... values) {
    ARTCACHE_TRY(const auto found, one(
                                       text, [](Row row) { return row.number(); }, values...));
    return found.value_or(0);
  }

  /// What a SELECT ends with of rows that this transaction goes on to change: whoever wants to
  /// change them too waits, and then sees what became of them. SQLite has one writer anyway.
  [[nodiscard]] std::string_view for_change() const {
    return engine_ == Engine::postgres ? " FOR UPDATE" : "";
  }
  /// For statements that bind in a way of one engine alone.
  [[nodiscard]] sql::Connection& connection() const { return connection_; }
  [[nodiscard]] Engine engine() const { return engine_; }
  static void bind(sql::Statement& to, int at, std::string_view text) { to.bind(at, text); }
  static void bind(sql::Statement& to, int at, sql::Bytes bytes) { to.bind(at, bytes); }
  static void bind(sql::Statement& to, int at, std::integral auto number) {
    to.bind(at, static_cast<std::int64_t>(number));
  }
  void bind(sql::Statement& to, int at, Timestamp time) const;
  template <class T>
  void bind(sql::Statement& to, int at, const std::optional<T>& value) {
    if (value)
      bind(to, at, *value);
    else
      to.bind_null(at);
  }

 private:
  template <class... Values>
  Result<sql::Statement*> prepared(std::string_view text, const Values&... values) {
    ARTCACHE_TRY(sql::Statement * statement, connection_.prepare(text));
    int at = 0;
    (bind(*statement, at++, values), ...);
    return statement;
  }

  sql::Connection& connection_;
  Engine engine_;
};

/// Makes the tables of a role where they are missing. Errors: those of sql::migrate().
using Migrate = Result<void> (*)(sql::Connection& connection, Engine engine, const Call& call);

/// Safe to use from any thread.
class Database {
 public:
  /// `sqlite:///path/to/file` or `postgresql://…`. A file is readable for its owner only, since
  /// there may be keys in it. `role` is for messages.
  /// Errors: invalid_argument, unsupported (another scheme, a newer schema), and those of opening.
  static Result<std::unique_ptr<Database>> open(const std::string& address, std::string_view role,
                                                Migrate migrate, const Deps& deps,
                                                const Call& call);

  /// work(Session&) in one transaction; its result. A write is committed unless it is an error.
  template <class Work>
  auto read(const Call& call, Work work) -> decltype(work(std::declval<Session&>())) {
    return within(call, sql::TransactionKind::read, work);
  }
  template <class Work>
  auto write(const Call& call, Work work) -> decltype(work(std::declval<Session&>())) {
    return within(call, sql::TransactionKind::write, work);
  }

  [[nodiscard]] Engine engine() const { return engine_; }

 private:
  Database(Engine engine, sql::PoolOptions options) : engine_(engine), pool_(std::move(options)) {}

  template <class Work>
  auto within(const Call& call, sql::TransactionKind kind, Work& work)
      -> decltype(work(std::declval<Session&>())) {
    ARTCACHE_TRY(const sql::Lease lease, pool_.acquire(call));
    ARTCACHE_TRY(sql::Transaction transaction, sql::Transaction::begin(*lease, kind));
    Session session(*lease, engine_);
    auto result = work(session);
    if (!result) return result;
    ARTCACHE_CHECK(transaction.commit());
    return result;
  }

  Engine engine_;
  sql::Pool pool_;
};

}  // namespace artcache::db
