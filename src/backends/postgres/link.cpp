// SPDX-License-Identifier: Apache-2.0
#include "backends/postgres/link.hpp"

#include "backends/postgres/columns.hpp"
#include "util/try.hpp"

namespace artcache::postgres {
namespace {

constexpr int kAttemptsMost = 5;
/// How long an index that was open already waits for its server to come back.
constexpr std::chrono::seconds kReconnectFor{10};

// The triggers tell a delete of ours from one made by hand by it.
constexpr std::string_view kSession = "SET artcache.writer = 'on'";

Result<std::unique_ptr<sql::PostgresConnection>> open_one(const sql::PostgresOptions& options,
                                                          const Call& call) {
  ARTCACHE_TRY(auto connection, sql::open_postgres(options, call));
  connection->set_call(&call);
  auto done = connection->execute(kSession);
  connection->set_call(nullptr);
  if (!done) return std::move(done).error();
  return connection;
}

sql::PostgresOptions patient(sql::PostgresOptions options) {
  options.retry_for = kReconnectFor;
  return options;
}

}  // namespace

Links::Links(sql::PostgresOptions options, std::size_t connections_most, const Deps& deps)
    : options_(patient(std::move(options))),
      clock_(deps.clock),
      pool_({.open = [this](const Call& call) -> Result<std::unique_ptr<sql::Connection>> {
               ARTCACHE_TRY(auto connection, open_one(options_, call));
               return std::unique_ptr<sql::Connection>(std::move(connection));
             },
             .connections_most = connections_most,
             .limit_name = "connections",
             .clock = deps.clock}) {}

Result<Link> Links::acquire(const Call& call) {
  while (true) {
    ARTCACHE_TRY(sql::Lease lease, pool_.acquire(call));
    if (lease->healthy()) return Link{std::move(lease)};
    lease.discard();
    // The others are as old.
    pool_.close_idle();
  }
}

Result<std::unique_ptr<sql::PostgresConnection>> Links::open(const Call& call) const {
  return open_one(options_, call);
}

Result<void> Links::write(const Work& work, const Read& after, const Call& call) {
  for (int attempt = 1;; ++attempt) {
    bool again = false;
    auto done = write_once(work, after, call, &again);
    if (done || !again || attempt == kAttemptsMost) return done;
    ARTCACHE_CHECK(call.check("index: write", *clock_));
  }
}

Result<void> Links::write_once(const Work& work, const Read& after, const Call& call, bool* again) {
  ARTCACHE_TRY(Link link, acquire(call));
  ARTCACHE_TRY(auto transaction, sql::Transaction::begin(*link, sql::TransactionKind::write));
  Result<void> done;
  if (auto statements = work(*link); !statements)
    done = std::move(statements).error();
  else
    done = link->commit_with(*statements);
  if (done) return after();
  const Error& error = done.error();
  const std::string_view state = link->last_state();
  const bool in_the_way = (error.code == Errc::conflict && state == "23505") ||
                          (error.code == Errc::busy && state.starts_with("40"));
  const bool dead = error.code == Errc::unavailable && !link->healthy();
  *again = error.outcome == Outcome::not_applied && (in_the_way || dead);
  return done;
}

Error lease_lost(std::uint64_t fence) {
  return {Errc::lease_lost, "index: the lock with fence " + std::to_string(fence) +
                                " is no longer held; nothing was changed"};
}

Result<void> check_fence(sql::PostgresConnection& connection, const Names& names,
                         std::uint64_t fence) {
  if (fence == 0) return {};
  ARTCACHE_TRY(
      sql::Statement * s,
      connection.prepare(names.text("SELECT 1 FROM {p}holder WHERE fence = $1 FOR KEY SHARE")));
  s->bind(0, to_sql(fence));
  ARTCACHE_TRY(const bool held, s->step());
  s->reset();
  if (!held) return lease_lost(fence);
  return {};
}

}  // namespace artcache::postgres
