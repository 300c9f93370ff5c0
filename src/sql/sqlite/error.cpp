// SPDX-License-Identifier: Apache-2.0
#include "sql/sqlite/error.hpp"

#include <sqlite3.h>

#include <cerrno>
#include <new>
#include <system_error>
#include <utility>

namespace artcache::sql {
namespace {

struct Meaning {
  Errc code = Errc::internal;
  std::string cause;
};

bool is_full(int os_error) { return os_error == ENOSPC || os_error == EDQUOT; }

std::string os_text(const SqliteFailure& failure) {
  if (failure.os_error == 0) return failure.detail;
  return failure.detail + " (" + std::generic_category().message(failure.os_error) + ")";
}

Meaning waited(std::optional<Errc> over) {
  if (over == Errc::timed_out)
    return {Errc::timed_out, "another connection held it until the deadline"};
  if (over) return {*over, "stopped while another connection held it"};
  return {Errc::busy, "another connection holds it"};
}

Meaning unreadable(const SqliteFailure& failure) {
  if (failure.code == SQLITE_READONLY_DBMOVED)
    return {Errc::unavailable, "the file was moved, removed or replaced while open: open it again"};
  // What a read-only open finds: a log that only a writer can bring in order.
  if (failure.code == SQLITE_READONLY_CANTINIT || failure.code == SQLITE_READONLY_RECOVERY ||
      failure.code == SQLITE_READONLY_CANTLOCK)
    return {Errc::unavailable,
            "its log needs to be read by somebody who may write: open it once with write access"};
  if (failure.primary() == SQLITE_READONLY)
    return {Errc::unavailable, "the file, or its folder, cannot be written: give write access"};
  return {Errc::unavailable, os_text(failure) +
                                 ": the file and its folder must be readable, and "
                                 "writable for a writer"};
}

Meaning device(const SqliteFailure& failure) {
  if (is_full(failure.os_error)) return {Errc::no_space, os_text(failure)};
  if (failure.code == SQLITE_IOERR_CORRUPTFS || failure.code == SQLITE_IOERR_DATA)
    return {Errc::corrupt, os_text(failure)};
  return {Errc::unavailable, "the device failed: " + os_text(failure)};
}

Meaning constraint(const SqliteFailure& failure) {
  switch (failure.code) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
      return {Errc::conflict, failure.detail};
    default:
      return {Errc::internal, failure.detail};
  }
}

Meaning meaning_of(const SqliteFailure& failure, std::optional<Errc> over) {
  switch (failure.primary()) {
    case SQLITE_BUSY:
    case SQLITE_PROTOCOL:  // lost the race for a lock too often
      // In a transaction that only read, waiting would not help: ours to avoid, see begin().
      if (failure.code == SQLITE_BUSY_SNAPSHOT) return {Errc::internal, failure.detail};
      return waited(over);
    case SQLITE_INTERRUPT:
      if (over == Errc::timed_out) return {Errc::timed_out, "the deadline passed"};
      return {Errc::cancelled, "stopped"};
    case SQLITE_FULL:
      return {Errc::no_space, "the disk or its quota is full"};
    case SQLITE_NOTADB:
      return {Errc::corrupt, "is no SQLite database"};
    case SQLITE_CORRUPT:
      return {Errc::corrupt, "the file is damaged: " + failure.detail};
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return unreadable(failure);
    case SQLITE_IOERR:
      return device(failure);
    case SQLITE_CONSTRAINT:
      return constraint(failure);
    case SQLITE_TOOBIG:
    case SQLITE_MISMATCH:
      return {Errc::invalid_argument, failure.detail};
    case SQLITE_NOLFS:
      return {Errc::unsupported, failure.detail};
    default:  // SQLITE_LOCKED too: a statement of this very connection stands in the way
      return {Errc::internal, failure.detail};
  }
}

}  // namespace

SqliteFailure SqliteFailure::of(sqlite3* db, int code) {
  SqliteFailure failure{code, 0, {}};
  const int primary = failure.primary();
  // For other codes the number is one of an earlier failure.
  if (primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN)
    failure.os_error = sqlite3_system_errno(db);
  // The connection's message can be of another failure than the code.
  const bool same = (sqlite3_errcode(db) & 0xff) == primary;
  failure.detail = same ? sqlite3_errmsg(db) : sqlite3_errstr(code);
  return failure;
}

Error sqlite_error(const SqliteFailure& failure, const std::string& path, const char* operation,
                   std::optional<Errc> over) {
  if (failure.primary() == SQLITE_NOMEM || failure.code == SQLITE_IOERR_NOMEM)
    throw std::bad_alloc();
  Meaning meaning = meaning_of(failure, over);
  return Error{meaning.code,
               std::string("sqlite: ") + operation + " '" + path + "': " + meaning.cause};
}

}  // namespace artcache::sql
