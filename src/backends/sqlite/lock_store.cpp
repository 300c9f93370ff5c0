// SPDX-License-Identifier: Apache-2.0
// The index as the place where lock records are kept.
#include <filesystem>

#include "backends/sqlite/index.hpp"
#include "backends/sqlite/reading.hpp"
#include "util/try.hpp"

namespace artcache::sqlite {
namespace {

std::int64_t number_of(LockClass lock_class) { return static_cast<int>(lock_class); }
LockClass class_of(std::int64_t number) { return static_cast<LockClass>(number); }

/// Both tables are small: few hold locks, and few wait for one.
Result<LockRows> read_rows(sql::Connection& connection, const Names& names,
                           std::string_view element, const IndexHead& head) {
  LockRows rows;
  rows.fence = head.fence;
  ARTCACHE_TRY(sql::Statement * s,
               connection.prepare(names.text("SELECT element, fence, class, record FROM {p}holder "
                                             "WHERE element = ? OR ? = '' ORDER BY fence")));
  s->bind(0, element).bind(1, element);
  while (true) {
    ARTCACHE_TRY(const bool found, s->step());
    if (!found) break;
    rows.holders.push_back({std::string(s->text(0)), from_sql(s->integer(1)),
                            class_of(s->integer(2)), std::string(s->text(3))});
  }
  ARTCACHE_TRY(s, connection.prepare(
                      names.text("SELECT element, class, name, record FROM {p}waiter "
                                 "WHERE element = ? OR ? = '' ORDER BY element, class, name")));
  s->bind(0, element).bind(1, element);
  while (true) {
    ARTCACHE_TRY(const bool found, s->step());
    if (!found) return rows;
    rows.waiters.push_back({std::string(s->text(0)), class_of(s->integer(1)),
                            std::string(s->text(2)), std::string(s->text(3))});
  }
}

Result<void> write_holders(sql::Connection& connection, const Names& names, const LockEdit& edit) {
  ARTCACHE_TRY(sql::Statement * s,
               connection.prepare(names.text("DELETE FROM {p}holder WHERE fence = ?")));
  for (const std::uint64_t fence : edit.remove) {
    s->bind(0, to_sql(fence));
    ARTCACHE_CHECK(s->run());
  }
  ARTCACHE_TRY(s, connection.prepare(names.text("INSERT OR REPLACE INTO {p}holder"
                                                "(fence, element, class, record) "
                                                "VALUES(?,?,?,?)")));
  for (const LockRows::Holder& holder : edit.put) {
    s->bind(0, to_sql(holder.fence)).bind(1, std::string_view(holder.element));
    s->bind(2, number_of(holder.lock_class)).bind(3, std::string_view(holder.text));
    ARTCACHE_CHECK(s->run());
  }
  return {};
}

Result<void> write_waiters(sql::Connection& connection, const Names& names, const LockEdit& edit) {
  ARTCACHE_TRY(sql::Statement * s,
               connection.prepare(names.text(
                   "DELETE FROM {p}waiter WHERE element = ? AND class = ? AND name = ?")));
  for (const LockRows::Waiter& waiter : edit.forget) {
    s->bind(0, std::string_view(waiter.element)).bind(1, number_of(waiter.lock_class));
    s->bind(2, std::string_view(waiter.name));
    ARTCACHE_CHECK(s->run());
  }
  ARTCACHE_TRY(s, connection.prepare(names.text("INSERT OR REPLACE INTO {p}waiter"
                                                "(element, class, name, record) "
                                                "VALUES(?,?,?,?)")));
  for (const LockRows::Waiter& waiter : edit.wait) {
    s->bind(0, std::string_view(waiter.element)).bind(1, number_of(waiter.lock_class));
    s->bind(2, std::string_view(waiter.name)).bind(3, std::string_view(waiter.text));
    ARTCACHE_CHECK(s->run());
  }
  return {};
}

}  // namespace

Result<LockRows> Index::lock_rows(std::string_view element, const Call& call) {
  ARTCACHE_TRY(Reading reading, begin_reading(call));
  return read_rows(reading.connection(), names_, element, reading.head());
}

Result<void> Index::change_locks(std::string_view element, const Decide& decide,
                                 Durability durability, const Call& call) {
  const auto work = [&](sql::Connection& connection, HeadRow& row) -> Result<void> {
    ARTCACHE_TRY(const LockRows rows, read_rows(connection, names_, element, row.head));
    ARTCACHE_TRY(const LockEdit edit, decide(rows));
    if (edit.minted != 0) {
      if (edit.minted <= row.head.fence || durability != Durability::now)
        return Error{Errc::internal, "sqlite index: a fence that could be minted twice"};
      row.head.fence = edit.minted;
    }
    ARTCACHE_CHECK(write_holders(connection, names_, edit));
    return write_waiters(connection, names_, edit);
  };
  ARTCACHE_CHECK(writer_.exclusively(
      work, call,
      durability == Durability::now ? Writer::Durability::now : Writer::Durability::with_the_next));
  return {};
}

/// One for each index in the file, since each counts its fences by itself; named after the file
/// itself, by whatever link it was opened.
std::string Index::owners_path() const {
  std::error_code failed;
  const auto file = std::filesystem::canonical(options_.path, failed);
  return (failed ? options_.path : file.string()) + "-" + names_.prefix() + "owners";
}

}  // namespace artcache::sqlite
