// SPDX-License-Identifier: Apache-2.0
// The index as the place where lock records are kept.
#include <algorithm>
#include <array>

#include "backends/postgres/columns.hpp"
#include "backends/postgres/index.hpp"
#include "sql/postgres/wire.hpp"
#include "util/hash.hpp"
#include "util/try.hpp"

namespace artcache::postgres {
namespace {

using Type = sql::PostgresType;

LockClass class_of(std::int64_t number) { return static_cast<LockClass>(number); }

using Statements = std::vector<sql::Statement*>;

/// Reads the rows with one wait for all. Both tables are small: few hold locks, and few wait for
/// one. `end` tells how the fence is read: who writes locks that row first, so that one at a time
/// decides. The time is read after that has been waited for: a row lock ends what a server may
/// compute before it.
Result<LockRows> read_rows(sql::PostgresConnection& connection, const Names& names,
                           std::string_view element, std::string_view end, sql::Need need) {
  ARTCACHE_TRY(sql::Statement * fence,
               connection.prepare(names.text(
                   "SELECT fence, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, "
                   "version, reader, writer FROM (SELECT f.fence, v.version, v.reader, v.writer "
                   "FROM {p}fence f, {p}schema v WHERE f.one = 1 AND v.name = 'index'" +
                   std::string(end) + ") AS held")));
  // One text for one element and one for all: with both in one the server plans it each time.
  const std::string of = element.empty() ? " " : " WHERE element = $1 ";
  ARTCACHE_TRY(sql::Statement * kept,
               connection.prepare(
                   names.text("SELECT 0, element, fence, class, '', record FROM {p}holder" + of +
                              "UNION ALL SELECT 1, element, 0, class, name, record FROM {p}waiter" +
                              of + "ORDER BY 1, 2, 3, 4, 5")));
  if (!element.empty()) kept->bind(0, element);
  const std::array all{fence, kept};
  ARTCACHE_CHECK(connection.run_all(all));
  LockRows rows;
  ARTCACHE_TRY(const bool there, fence->step());
  if (!there) return Error{Errc::corrupt, "postgresql index: the row of the fence is missing"};
  const auto number = [&](int i) { return static_cast<std::uint32_t>(fence->integer(i)); };
  ARTCACHE_CHECK(check_versions({number(2), number(3), number(4)}, names, need));
  rows.fence = from_sql(fence->integer(0));
  rows.now = std::chrono::microseconds(fence->integer(1));
  fence->reset();
  while (true) {
    ARTCACHE_TRY(const bool found, kept->step());
    if (!found) return rows;
    const std::string of_element(kept->text(1)), record(kept->text(5));
    const LockClass lock_class = class_of(kept->integer(3));
    if (kept->integer(0) == 0)
      rows.holders.push_back({of_element, from_sql(kept->integer(2)), lock_class, record});
    else
      rows.waiters.push_back({of_element, lock_class, std::string(kept->text(4)), record});
  }
}

Result<void> write_holders(sql::PostgresConnection& connection, const Names& names,
                           const LockEdit& edit, Statements& out) {
  if (edit.remove.size() == 1) {
    // The usual case, whose plan the server keeps.
    ARTCACHE_TRY(out.emplace_back(),
                 connection.prepare(names.text("DELETE FROM {p}holder WHERE fence = $1")));
    out.back()->bind(0, to_sql(edit.remove.front()));
  } else if (!edit.remove.empty()) {
    sql::PostgresArray gone(Type::int8);
    for (const std::uint64_t fence : edit.remove) gone.add().number(to_sql(fence));
    ARTCACHE_TRY(out.emplace_back(),
                 connection.prepare(names.text("DELETE FROM {p}holder WHERE fence = ANY($1)")));
    gone.bind(*out.back(), 0);
  }
  sql::PostgresArray fences(Type::int8), elements(Type::text), classes(Type::int4),
      records(Type::text);
  for (const LockRows::Holder& holder : edit.put) {
    fences.add().number(to_sql(holder.fence));
    elements.add().bytes(std::string_view(holder.element));
    classes.add().small(static_cast<int>(holder.lock_class));
    records.add().bytes(std::string_view(holder.text));
  }
  if (fences.empty()) return {};
  // The key is not touched, so a renewal does not wait for a writer under the same fence.
  ARTCACHE_TRY(out.emplace_back(),
               connection.prepare(names.text(
                   "INSERT INTO {p}holder(fence, element, class, record) SELECT * FROM unnest("
                   "$1::bigint[], $2::text[], $3::integer[], $4::text[]) ON CONFLICT (fence) "
                   "DO UPDATE SET element = excluded.element, class = excluded.class, "
                   "record = excluded.record")));
  fences.bind(*out.back(), 0);
  elements.bind(*out.back(), 1);
  classes.bind(*out.back(), 2);
  records.bind(*out.back(), 3);
  return {};
}

Result<void> write_waiters(sql::PostgresConnection& connection, const Names& names,
                           const LockEdit& edit, Statements& out) {
  const auto add = [&](std::string_view text, const std::vector<LockRows::Waiter>& waiters,
                       bool with_record) -> Result<void> {
    if (waiters.empty()) return {};
    sql::PostgresArray elements(Type::text), classes(Type::int4), who(Type::text),
        records(Type::text);
    for (const LockRows::Waiter& waiter : waiters) {
      elements.add().bytes(std::string_view(waiter.element));
      classes.add().small(static_cast<int>(waiter.lock_class));
      who.add().bytes(std::string_view(waiter.name));
      records.add().bytes(std::string_view(waiter.text));
    }
    ARTCACHE_TRY(out.emplace_back(), connection.prepare(names.text(text)));
    elements.bind(*out.back(), 0);
    classes.bind(*out.back(), 1);
    who.bind(*out.back(), 2);
    if (with_record) records.bind(*out.back(), 3);
    return {};
  };
  ARTCACHE_CHECK(
      add("DELETE FROM {p}waiter WHERE (element, class, name) IN (SELECT * FROM "
          "unnest($1::text[], $2::integer[], $3::text[]))",
          edit.forget, false));
  return add(
      "INSERT INTO {p}waiter(element, class, name, record) SELECT * FROM unnest("
      "$1::text[], $2::integer[], $3::text[], $4::text[]) "
      "ON CONFLICT (element, class, name) DO UPDATE SET record = excluded.record",
      edit.wait, true);
}

/// What an edit writes, to be sent with COMMIT. Only a fence has to be durable at once.
Result<Statements> statements_of(sql::PostgresConnection& connection, const Names& names,
                                 const LockEdit& edit) {
  Statements out;
  if (edit.minted != 0) {
    ARTCACHE_TRY(out.emplace_back(),
                 connection.prepare(names.text("UPDATE {p}fence SET fence = $1 WHERE one = 1")));
    out.back()->bind(0, to_sql(edit.minted));
  } else {
    ARTCACHE_TRY(out.emplace_back(),
                 connection.prepare("SELECT set_config('synchronous_commit', 'off', true)"));
  }
  ARTCACHE_CHECK(write_holders(connection, names, edit, out));
  ARTCACHE_CHECK(write_waiters(connection, names, edit, out));
  return out;
}

}  // namespace

/// The server's clock counts, unless the host has one of its own for everything.
Result<LockRows> Index::lock_rows(std::string_view element, const Call& call) {
  for (int attempt = 1;; ++attempt) {
    ARTCACHE_TRY(Link link, links_.acquire(call));
    const auto asked = deps_.clock->steady();
    ARTCACHE_TRY(auto transaction, sql::Transaction::begin(*link, sql::TransactionKind::read));
    auto rows = read_rows(*link, names_, element, "", sql::Need::read);
    const bool dead =
        !rows && rows.error().code == Errc::unavailable && !link->healthy() && attempt == 1;
    if (dead) continue;
    if (!rows) return rows;
    if (deps_.clock != &system_clock()) rows->now.reset();
    if (!element.empty()) seen_locks_.note(element, *rows, {}, asked);
    return rows;
  }
}

/// An element that nobody was seen to hold or to wait for is probably free.
Result<LockRows> Index::likely_lock_rows(std::string_view element, const Call& call) {
  if (!seen_locks_.is_free(element)) return lock_rows(element, call);
  LockRows rows;
  rows.likely = true;
  return rows;
}

/// An error of `decide` is none yet, since it may come of what is no longer so. Nor is one of the
/// server, which the ordinary way meets again and knows what to do about.
Result<bool> Index::change_as_seen(std::string_view element, const Decide& decide,
                                   Durability durability, const Call& call) {
  const auto seen = seen_locks_.rows(element, deps_.clock->steady());
  if (!seen) return false;
  const auto edit = decide(*seen);
  const bool grants =
      edit && durability == Durability::now && is_usual_grant(element, *seen, *edit);
  const bool releases = edit && durability == Durability::relaxed && is_usual_release(*seen, *edit);
  if (!grants && !releases) return false;
  ARTCACHE_TRY(Link link, links_.acquire(call));
  ARTCACHE_TRY(sql::Statement * statement, grants ? usual_locks_.grant(*link, *seen, *edit)
                                                  : usual_locks_.release(*link, *seen, *edit));
  auto done = statement->step();
  statement->reset();
  if (!done && link->healthy()) return false;
  if (!done) {
    Error error = std::move(done).error();
    error.outcome = Outcome::unknown;
    return error;
  }
  if (*done) seen_locks_.note(element, *edit);
  return *done;
}

/// Otherwise two ways to the server and back: what is there, and what becomes of it. `decide` is
/// asked once a transaction that may commit: where that transaction is made anew, nothing of the
/// one before was kept.
Result<void> Index::change_locks(std::string_view element, const Decide& decide,
                                 Durability durability, const Call& call) {
  ARTCACHE_TRY(const bool changed, change_as_seen(element, decide, durability, call));
  if (changed) return {};
  LockRows seen;
  LockEdit edit;
  const auto asked = deps_.clock->steady();
  const auto work = [&](sql::PostgresConnection& connection) -> Result<Statements> {
    ARTCACHE_TRY(LockRows rows,
                 read_rows(connection, names_, element, " FOR UPDATE OF f", sql::Need::write));
    if (deps_.clock != &system_clock()) rows.now.reset();
    seen = rows;
    seen_locks_.note(element, std::move(rows), {}, asked);
    ARTCACHE_TRY(edit, decide(seen));
    if (edit.minted != 0 && (edit.minted <= seen.fence || durability != Durability::now))
      return Error{Errc::internal, "postgresql index: a fence that could be minted twice"};
    return statements_of(connection, names_, edit);
  };
  ARTCACHE_CHECK(links_.write(
      work, [] { return Result<void>(); }, call));
  seen_locks_.note(element, std::move(seen), edit, asked);
  return {};
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
