// SPDX-License-Identifier: Apache-2.0
#include "roles/admin/database.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <artcache/url.hpp>

#include "roles/admin/schema.hpp"
#include "sql/migrate.hpp"
#include "sql/sqlite/connection.hpp"
#if ARTCACHE_WITH_POSTGRES
#include "sql/postgres/connection.hpp"
#endif

namespace artcache::admin {
namespace {

using Opener = std::function<Result<std::unique_ptr<sql::Connection>>(const Call&)>;

Result<Opener> sqlite_opener(const Url& url, const Deps& deps) {
  ARTCACHE_CHECK(url.expect_only({}));
  if (url.path().size() < 2)
    return Error{Errc::invalid_argument, "admin: '" + url.redacted() + "' names no file"};
  // Made here, for its rights; SQLite gives its other files the same.
  const int file = ::open(url.path().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file >= 0) ::close(file);
  sql::SqliteOptions options;
  options.path = url.path();
  options.clock = deps.clock;
  return Opener([options](const Call& call) { return sql::open_sqlite(options, call); });
}

#if ARTCACHE_WITH_POSTGRES
Result<Opener> postgres_opener(const Url& url, const Deps& deps) {
  ARTCACHE_TRY(sql::PostgresOptions options, sql::postgres_options(url, {}));
  options.clock = deps.clock;
  options.retry_for = std::chrono::seconds(10);
  return Opener([options](const Call& call) -> Result<std::unique_ptr<sql::Connection>> {
    ARTCACHE_TRY(auto connection, sql::open_postgres(options, call));
    return std::unique_ptr<sql::Connection>(std::move(connection));
  });
}
#else
Result<Opener> postgres_opener(const Url&, const Deps&) {
  return Error{Errc::unsupported, "admin: PostgreSQL is not compiled in"};
}
#endif

}  // namespace

void Session::bind(sql::Statement& to, int at, Timestamp time) const {
#if ARTCACHE_WITH_POSTGRES
  if (engine_ == Engine::postgres) {
    sql::bind_time(to, at, time.micros());
    return;
  }
#endif
  to.bind(at, time.micros());
}

Result<std::unique_ptr<Database>> Database::open(const std::string& address, const Deps& deps,
                                                 const Call& call) {
  ARTCACHE_TRY(const Url url, Url::parse(address));
  const bool postgres = url.scheme() == "postgresql" || url.scheme() == "postgres";
  if (!postgres && url.scheme() != "sqlite")
    return Error{Errc::unsupported,
                 "admin: '" + url.scheme() + "' is no database for it: sqlite or postgresql"};
  ARTCACHE_TRY(Opener open, postgres ? postgres_opener(url, deps) : sqlite_opener(url, deps));
  sql::PoolOptions options;
  options.open = std::move(open);
  options.connections_most = 8;
  options.clock = deps.clock;
  const Engine engine = postgres ? Engine::postgres : Engine::sqlite;
  std::unique_ptr<Database> out(new Database(engine, std::move(options)));
  ARTCACHE_TRY(const sql::Lease lease, out->pool_.acquire(call));
  ARTCACHE_CHECK(migrate(*lease, engine, call));
  return out;
}

}  // namespace artcache::admin
