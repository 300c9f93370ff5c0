// SPDX-License-Identifier: Apache-2.0
// The index as the place where lock records are kept.
#include "backends/postgres/columns.hpp"
#include "backends/postgres/index.hpp"
#include "util/hash.hpp"
#include "util/try.hpp"

namespace artcache::postgres {
namespace {

std::int64_t number_of(LockClass lock_class) { return static_cast<int>(lock_class); }
LockClass class_of(std::int64_t number) { return static_cast<LockClass>(number); }

/// Both tables are small: few hold locks, and few wait for one. `end` tells how the fence is read:
/// who writes locks that row first, so that one at a time decides. The time is read after that has
/// been waited for: a row lock ends what a server may compute before it.
Result<LockRows> read_rows(sql::PostgresConnection& connection, const Names& names,
                           std::string_view element, std::string_view end) {
  ARTCACHE_TRY(sql::Statement * fence,
               connection.prepare(
                   names.text("SELECT fence, (extract(epoch FROM clock_timestamp()) * 1000000)"
                              "::bigint FROM (SELECT fence FROM {p}fence WHERE one = 1" +
                              std::string(end) + ") AS held")));
  ARTCACHE_TRY(sql::Statement * holders,
               connection.prepare(names.text("SELECT element, fence, class, record FROM {p}holder "
                                             "WHERE element = $1 OR $1 = '' ORDER BY fence")));
  holders->bind(0, element);
  ARTCACHE_TRY(sql::Statement * waiters,
               connection.prepare(
                   names.text("SELECT element, class, name, record FROM {p}waiter "
                              "WHERE element = $1 OR $1 = '' ORDER BY element, class, name")));
  waiters->bind(0, element);
  const std::array all{fence, holders, waiters};
  ARTCACHE_CHECK(connection.run_all(all));
  LockRows rows;
  ARTCACHE_CHECK(fence->step());
  rows.fence = from_sql(fence->integer(0));
  rows.now = std::chrono::microseconds(fence->integer(1));
  fence->reset();
  while (true) {
    ARTCACHE_TRY(const bool found, holders->step());
    if (!found) break;
    rows.holders.push_back({std::string(holders->text(0)), from_sql(holders->integer(1)),
                            class_of(holders->integer(2)), std::string(holders->text(3))});
  }
  while (true) {
    ARTCACHE_TRY(const bool found, waiters->step());
    if (!found) return rows;
    rows.waiters.push_back({std::string(waiters->text(0)), class_of(waiters->integer(1)),
                            std::string(waiters->text(2)), std::string(waiters->text(3))});
  }
}

Result<void> write_holders(sql::Connection& connection, const Names& names, const LockEdit& edit) {
  for (const std::uint64_t fence : edit.remove) {
    ARTCACHE_TRY(sql::Statement * s,
                 connection.prepare(names.text("DELETE FROM {p}holder WHERE fence = $1")));
    s->bind(0, to_sql(fence));
    ARTCACHE_CHECK(s->run());
  }
  for (const LockRows::Holder& holder : edit.put) {
    // The key is not touched, so a renewal does not wait for a writer under the same fence.
    ARTCACHE_TRY(sql::Statement * s,
                 connection.prepare(names.text(
                     "INSERT INTO {p}holder(fence, element, class, record) VALUES($1, $2, $3, $4) "
                     "ON CONFLICT (fence) DO UPDATE SET element = excluded.element, "
                     "class = excluded.class, record = excluded.record")));
    s->bind(0, to_sql(holder.fence)).bind(1, std::string_view(holder.element));
    s->bind(2, number_of(holder.lock_class)).bind(3, std::string_view(holder.text));
    ARTCACHE_CHECK(s->run());
  }
  return {};
}

Result<void> write_waiters(sql::Connection& connection, const Names& names, const LockEdit& edit) {
  for (const LockRows::Waiter& waiter : edit.forget) {
    ARTCACHE_TRY(sql::Statement * s,
                 connection.prepare(names.text("DELETE FROM {p}waiter WHERE element = $1 "
                                               "AND class = $2 AND name = $3")));
    s->bind(0, std::string_view(waiter.element)).bind(1, number_of(waiter.lock_class));
    s->bind(2, std::string_view(waiter.name));
    ARTCACHE_CHECK(s->run());
  }
  for (const LockRows::Waiter& waiter : edit.wait) {
    ARTCACHE_TRY(sql::Statement * s,
                 connection.prepare(names.text(
                     "INSERT INTO {p}waiter(element, class, name, record) VALUES($1, $2, $3, $4) "
                     "ON CONFLICT (element, class, name) DO UPDATE SET record = excluded.record")));
    s->bind(0, std::string_view(waiter.element)).bind(1, number_of(waiter.lock_class));
    s->bind(2, std::string_view(waiter.name)).bind(3, std::string_view(waiter.text));
    ARTCACHE_CHECK(s->run());
  }
  return {};
}

}  // namespace

/// The server's clock counts, unless the host has one of its own for everything.
Result<LockRows> Index::lock_rows(std::string_view element, const Call& call) {
  LockRows rows;
  const auto read = [&](sql::PostgresConnection& connection, const HeadRow&) -> Result<void> {
    ARTCACHE_TRY(rows, read_rows(connection, names_, element, ""));
    if (deps_.clock != &system_clock()) rows.now.reset();
    return {};
  };
  ARTCACHE_CHECK(reading(read, call));
  return rows;
}

/// `decide` is asked once a transaction that may commit: where that transaction is made anew,
/// nothing of the one before was kept.
Result<void> Index::change_locks(std::string_view element, const Decide& decide,
                                 Durability durability, const Call& call) {
  ARTCACHE_TRY(Link link, links_.acquire(call));
  ARTCACHE_TRY(auto transaction, sql::Transaction::begin(*link, sql::TransactionKind::write));
  sql::PostgresConnection& connection = *link;
  ARTCACHE_TRY(sql::Statement * head, connection.prepare(names_.text(kHeadText)));
  ARTCACHE_CHECK(read_head(*head, names_, sql::Need::write));
  ARTCACHE_TRY(LockRows rows, read_rows(connection, names_, element, " FOR UPDATE"));
  if (deps_.clock != &system_clock()) rows.now.reset();
  ARTCACHE_TRY(const LockEdit edit, decide(rows));
  if (durability == Durability::relaxed)
    ARTCACHE_CHECK(connection.execute("SET LOCAL synchronous_commit = off"));
  if (edit.minted != 0) {
    if (edit.minted <= rows.fence || durability != Durability::now)
      return Error{Errc::internal, "postgresql index: a fence that could be minted twice"};
    ARTCACHE_TRY(sql::Statement * mint,
                 connection.prepare(names_.text("UPDATE {p}fence SET fence = $1 WHERE one = 1")));
    mint->bind(0, to_sql(edit.minted));
    ARTCACHE_CHECK(mint->run());
  }
  ARTCACHE_CHECK(write_holders(connection, names_, edit));
  ARTCACHE_CHECK(write_waiters(connection, names_, edit));
  return transaction.commit();
}

/// One for each index on each server, in a folder that all processes of this machine see; the
/// password is no part of the name.
std::string Index::owners_path() const {
  std::string place;
  for (const auto& [name, value] : options_.connection.parameters)
    if (name == "host" || name == "port" || name == "dbname") place.append(value).append("\n");
  const auto sum = util::sha256(place);
  std::string name;
  util::append_hex(name, std::span(sum).first(8));
  return options_.owners + "/artcache-" + name + "-" + names_.prefix() + "owners";
}

}  // namespace artcache::postgres
