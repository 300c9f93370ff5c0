// SPDX-License-Identifier: Apache-2.0
#include "backends/postgres/seen_locks.hpp"

#include <algorithm>
#include <utility>

#include "backends/postgres/columns.hpp"
#include "util/try.hpp"

namespace artcache::postgres {
namespace {

/// How far the server's time may be from where it is thought to be.
constexpr std::chrono::microseconds kOffMost{500'000};

/// $1 the new fence, $2 the fence minted last, $3 element, $4 class, $5 record, $6 and $7 between
/// which the time is, $8 the version of the tables that this program writes.
constexpr std::string_view kGrant =
    "WITH turn AS (UPDATE {p}fence f SET fence = $1 FROM {p}schema v WHERE f.one = 1 "
    "AND f.fence = $2 AND v.name = 'index' AND v.version >= $8 AND v.writer <= $8 "
    "AND clock_timestamp() BETWEEN $6 AND $7 "
    "AND NOT EXISTS (SELECT FROM {p}holder WHERE element = $3) "
    "AND NOT EXISTS (SELECT FROM {p}waiter WHERE element = $3) RETURNING f.one) "
    "INSERT INTO {p}holder(fence, element, class, record) "
    "SELECT $1, $3, $4::integer, $5::text FROM turn RETURNING 1";

/// $1 the fence, $2 the record, $3 the version.
constexpr std::string_view kRelease =
    "WITH turn AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true) AS relaxed "
    "FROM {p}fence f, {p}schema v WHERE f.one = 1 AND v.name = 'index' AND v.version >= $3 "
    "AND v.writer <= $3 FOR UPDATE OF f) "
    "DELETE FROM {p}holder h USING turn WHERE h.fence = $1 AND h.record = $2 "
    "AND turn.relaxed = 'off' RETURNING 1";

void apply(LockRows& rows, const LockEdit& edit) {
  for (const std::uint64_t fence : edit.remove)
    std::erase_if(rows.holders, [&](const auto& one) { return one.fence == fence; });
  for (const LockRows::Holder& put : edit.put) {
    std::erase_if(rows.holders, [&](const auto& one) { return one.fence == put.fence; });
    rows.holders.push_back(put);
  }
  const auto without = [&rows](const LockRows::Waiter& gone) {
    std::erase_if(rows.waiters, [&](const auto& one) {
      return one.lock_class == gone.lock_class && one.name == gone.name;
    });
  };
  for (const LockRows::Waiter& gone : edit.forget) without(gone);
  for (const LockRows::Waiter& wait : edit.wait) {
    without(wait);
    rows.waiters.push_back(wait);
  }
}

}  // namespace

void SeenLocks::note(std::string_view element, LockRows rows, const LockEdit& edit,
                     Clock::SteadyTime asked) {
  apply(rows, edit);
  const util::MutexLock guard(mutex_);
  fence_ = std::max(rows.fence, edit.minted);
  now_ = rows.now;
  asked_ = asked;
  if (rows.holders.empty() && rows.waiters.empty())
    held_.erase(std::string(element));
  else
    held_.insert_or_assign(std::string(element), std::move(rows));
}

void SeenLocks::note(std::string_view element, const LockEdit& edit) {
  const util::MutexLock guard(mutex_);
  if (edit.minted != 0) fence_ = edit.minted;
  LockRows& rows = held_[std::string(element)];
  apply(rows, edit);
  if (rows.holders.empty() && rows.waiters.empty()) held_.erase(std::string(element));
}

bool SeenLocks::is_free(std::string_view element) const {
  const util::MutexLock guard(mutex_);
  return held_.find(element) == held_.end();
}

std::optional<LockRows> SeenLocks::rows(std::string_view element, Clock::SteadyTime now) const {
  const util::MutexLock guard(mutex_);
  if (!now_) return std::nullopt;
  LockRows out;
  if (const auto at = held_.find(element); at != held_.end()) out = at->second;
  out.fence = fence_;
  out.now = *now_ + std::chrono::duration_cast<std::chrono::microseconds>(now - asked_);
  return out;
}

bool is_usual_grant(std::string_view element, const LockRows& rows, const LockEdit& edit) {
  return rows.holders.empty() && rows.waiters.empty() && edit.minted > rows.fence &&
         edit.put.size() == 1 && edit.put.front().fence == edit.minted &&
         edit.put.front().element == element && edit.remove.empty() && edit.forget.empty() &&
         edit.wait.empty();
}

bool is_usual_release(const LockRows& rows, const LockEdit& edit) {
  return edit.remove.size() == 1 && edit.minted == 0 && edit.put.empty() && edit.forget.empty() &&
         edit.wait.empty() &&
         std::ranges::find(rows.holders, edit.remove.front(), &LockRows::Holder::fence) !=
             rows.holders.end();
}

UsualLocks::UsualLocks(const Names& names)
    : grant_(names.text(kGrant)), release_(names.text(kRelease)) {}

Result<sql::Statement*> UsualLocks::grant(sql::PostgresConnection& connection, const LockRows& seen,
                                          const LockEdit& edit) const {
  const LockRows::Holder& holder = edit.put.front();
  ARTCACHE_TRY(sql::Statement * s, connection.prepare(grant_));
  s->bind(0, to_sql(holder.fence)).bind(1, to_sql(seen.fence));
  s->bind(2, std::string_view(holder.element));
  s->bind(3, static_cast<std::int64_t>(holder.lock_class));
  s->bind(4, std::string_view(holder.text));
  sql::bind_time(*s, 5, (*seen.now - kOffMost).count());
  sql::bind_time(*s, 6, (*seen.now + kOffMost).count());
  s->bind(7, std::int64_t{kSchemaVersion});
  return s;
}

Result<sql::Statement*> UsualLocks::release(sql::PostgresConnection& connection,
                                            const LockRows& seen, const LockEdit& edit) const {
  const auto holder =
      std::ranges::find(seen.holders, edit.remove.front(), &LockRows::Holder::fence);
  ARTCACHE_TRY(sql::Statement * s, connection.prepare(release_));
  s->bind(0, to_sql(holder->fence)).bind(1, std::string_view(holder->text));
  s->bind(2, std::int64_t{kSchemaVersion});
  return s;
}

}  // namespace artcache::postgres
