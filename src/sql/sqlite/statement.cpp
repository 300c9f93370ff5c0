// SPDX-License-Identifier: Apache-2.0
#include <cassert>
#include <utility>

#include "sql/sqlite/handle.hpp"
#include "util/try.hpp"

namespace artcache::sql {

SqliteStatement::SqliteStatement(SqliteConnection& owner, SqliteStatementHandle handle,
                                 std::string text)
    : owner_(owner),
      handle_(std::move(handle)),
      sql_(std::move(text)),
      writes_(sqlite3_stmt_readonly(handle_.get()) == 0) {}

SqliteStatement::~SqliteStatement() { set_active(false); }

void SqliteStatement::set_active(bool active) {
  if (active == active_) return;
  active_ = active;
  owner_.count_active(active ? 1 : -1);
}

Statement& SqliteStatement::bound(int code) {
  // bind() returns the statement, so the first failure waits for step().
  if (bind_code_ == SQLITE_OK) bind_code_ = code;
  return *this;
}

Statement& SqliteStatement::bind(int parameter, std::int64_t number) {
  return bound(sqlite3_bind_int64(handle_.get(), parameter + 1, number));
}

Statement& SqliteStatement::bind(int parameter, double number) {
  return bound(sqlite3_bind_double(handle_.get(), parameter + 1, number));
}

Statement& SqliteStatement::bind(int parameter, std::string_view text) {
  // A null pointer would be NULL, not the empty text.
  const char* data = text.data() == nullptr ? "" : text.data();
  return bound(sqlite3_bind_text64(handle_.get(), parameter + 1, data, text.size(), SQLITE_STATIC,
                                   SQLITE_UTF8));
}

Statement& SqliteStatement::bind(int parameter, Bytes bytes) {
  if (bytes.empty()) return bound(sqlite3_bind_zeroblob(handle_.get(), parameter + 1, 0));
  return bound(
      sqlite3_bind_blob64(handle_.get(), parameter + 1, bytes.data(), bytes.size(), SQLITE_STATIC));
}

Statement& SqliteStatement::bind_null(int parameter) {
  return bound(sqlite3_bind_null(handle_.get(), parameter + 1));
}

Result<bool> SqliteStatement::step() {
  if (!active_) {
    if (auto admitted = owner_.admit(writes_, sql_); !admitted) {
      reset();
      return std::move(admitted).error();
    }
  }
  for (;;) {
    const int code = bind_code_ != SQLITE_OK ? bind_code_ : sqlite3_step(handle_.get());
    if (code == SQLITE_ROW) {
      set_active(true);
      return true;
    }
    if (code == SQLITE_DONE) {
      reset();
      if (!owner_.in_transaction()) ARTCACHE_CHECK(owner_.check_frozen());
      return false;
    }
    const SqliteFailure failure = SqliteFailure::of(owner_.db(), code);
    if (!active_ && bind_code_ == SQLITE_OK) {
      // Bindings survive this reset, which gives the locks back before the next try.
      sqlite3_reset(handle_.get());
      if (owner_.may_retry(code)) continue;
    }
    Error error = owner_.failure(failure, "run");
    if (writes_ && !owner_.in_transaction() && failure.primary() == SQLITE_IOERR)
      error.outcome = Outcome::unknown;  // it was a commit too, see SqliteConnection::commit()
    reset();
    return error;
  }
}

Result<std::int64_t> SqliteStatement::run() {
  // changes() is left alone by statements that change no rows, total_changes() counts what
  // triggers did: together they tell.
  const std::int64_t before = sqlite3_total_changes64(owner_.db());
  for (;;) {
    ARTCACHE_TRY(const bool row, step());
    if (!row) break;
  }
  if (sqlite3_total_changes64(owner_.db()) == before) return std::int64_t{0};
  return std::int64_t{sqlite3_changes64(owner_.db())};
}

void SqliteStatement::reset() {
  sqlite3_reset(handle_.get());
  // What was bound may be gone by now.
  sqlite3_clear_bindings(handle_.get());
  bind_code_ = SQLITE_OK;
  set_active(false);
}

bool SqliteStatement::is_null(int column) const {
  assert(active_ && column >= 0 && column < sqlite3_column_count(handle_.get()));
  return sqlite3_column_type(handle_.get(), column) == SQLITE_NULL;
}

std::int64_t SqliteStatement::integer(int column) const {
  assert(active_ && column >= 0 && column < sqlite3_column_count(handle_.get()));
  return sqlite3_column_int64(handle_.get(), column);
}

double SqliteStatement::real(int column) const {
  assert(active_ && column >= 0 && column < sqlite3_column_count(handle_.get()));
  return sqlite3_column_double(handle_.get(), column);
}

std::string_view SqliteStatement::text(int column) const {
  assert(active_ && column >= 0 && column < sqlite3_column_count(handle_.get()));
  const unsigned char* data = sqlite3_column_text(handle_.get(), column);
  if (data == nullptr) return {};
  const int size = sqlite3_column_bytes(handle_.get(), column);
  return {reinterpret_cast<const char*>(data), static_cast<std::size_t>(size)};
}

Bytes SqliteStatement::blob(int column) const {
  assert(active_ && column >= 0 && column < sqlite3_column_count(handle_.get()));
  const void* data = sqlite3_column_blob(handle_.get(), column);
  if (data == nullptr) return {};
  const int size = sqlite3_column_bytes(handle_.get(), column);
  return {static_cast<const std::uint8_t*>(data), static_cast<std::size_t>(size)};
}

}  // namespace artcache::sql
