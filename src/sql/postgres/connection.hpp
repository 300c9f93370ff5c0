// SPDX-License-Identifier: Apache-2.0
// Connections to PostgreSQL over libpq, without one call of it that blocks.
#pragma once

#include <artcache/call.hpp>
#include <artcache/clock.hpp>
#include <artcache/url.hpp>
#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sql/sql.hpp"

namespace artcache::sql {

struct PostgresOptions {
  /// Keywords of libpq with their values: host, port, user, password, dbname, sslmode, …
  std::vector<std::pair<std::string, std::string>> parameters;
  std::string describe;  ///< the address without secrets, for messages
  const Clock* clock = &system_clock();
  /// While a server is away or starting, opening is tried again for so long, with growing pauses.
  std::chrono::milliseconds retry_for{0};
};

/// The parameters of an address; those of its own that `own` names are left out. TLS is configured
/// by libpq's names: sslmode, sslrootcert, sslcert, sslkey. Errors: invalid_argument (an unknown
/// parameter, no database).
Result<PostgresOptions> postgres_options(const Url& url,
                                         std::initializer_list<std::string_view> own);

/// A Connection that can also send several statements at once, and rows in bulk.
///
/// Deadline and stop token are looked at in every wait. Where one strikes the socket is closed, so
/// the connection is not healthy any more; the server notices that within a second, and
/// statement_timeout stands behind it. Bytes are bound and read in PostgreSQL's binary formats: the
/// 16 bytes of a UUID, arrays (see PostgresArray). A timestamptz is read as microseconds since 1970
/// and bound with bind_time(). SQLSTATE decides the Errc; a broken connection is unavailable.
class PostgresConnection : public Connection {
 public:
  /// Runs bound statements in the order given with one wait for all, each text once; their rows
  /// are read by step() afterwards. Errors: those of the first that failed; the later ones have not
  /// run.
  virtual Result<void> run_all(std::span<Statement* const> statements) = 0;
  /// The same, and COMMIT with them. Errors: as commit().
  virtual Result<void> commit_with(std::span<Statement* const> statements) = 0;

  /// COPY … FROM STDIN; then any number of copy_data() and one copy_end(), which returns the number
  /// of rows. Errors: as Statement::step().
  virtual Result<void> copy_begin(std::string_view sql) = 0;
  virtual Result<void> copy_data(std::string_view bytes) = 0;
  virtual Result<std::int64_t> copy_end() = 0;

  /// Waits until the server sends a notification (LISTEN), at most for `pause`; true when one came.
  /// Errors: unavailable.
  virtual Result<bool> wait_notified(std::chrono::nanoseconds pause) = 0;
  /// SQLSTATE of the last error of a statement, five characters; empty when begin() is later.
  [[nodiscard]] virtual std::string_view last_state() const = 0;
};

/// Binds a moment, as microseconds since 1970.
Statement& bind_time(Statement& statement, int parameter, std::int64_t micros);

/// Errors: invalid_argument (the password or the name of the user is wrong, no right to connect),
/// not_found (no such database), unavailable (no answer), timed_out, cancelled, unsupported (a
/// server older than 13 or with another encoding than UTF-8).
Result<std::unique_ptr<PostgresConnection>> open_postgres(const PostgresOptions& options,
                                                          const Call& call);

}  // namespace artcache::sql
