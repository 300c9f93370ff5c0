// SPDX-License-Identifier: Apache-2.0
#include "backends/postgres/writer.hpp"

#include <algorithm>

#include "backends/postgres/columns.hpp"
#include "util/try.hpp"

namespace artcache::postgres {
namespace {

/// Trimming keeps pace with what is added and no commit pays for a long backlog.
constexpr std::size_t kTrimBesides = 64;
/// How long a group waits for rows that others hold.
constexpr std::string_view kGroupWaits = "SET LOCAL lock_timeout = 100";

/// How late a set stop token, or a deadline on a clock moved by hand, may be noticed.
constexpr std::chrono::milliseconds kLookEvery{20};

/// Whether it matters when the entries changed last.
bool compares(const ApplyRequest* request) {
  return std::ranges::any_of(request->changes, [](const EntryChange& change) {
    return change.base.has_value() || change.as_of.has_value();
  });
}

/// With 0, which stands for no fence. `held` is null where none was asked for.
Result<std::set<std::uint64_t>> living_fences(sql::Statement* held) {
  std::set<std::uint64_t> living{0};
  while (held != nullptr) {
    ARTCACHE_TRY(const bool found, held->step());
    if (!found) break;
    living.insert(from_sql(held->integer(0)));
  }
  return living;
}

template <class F>
Result<void> without_exceptions(const F& work) {
  try {
    return work();
  } catch (const std::exception& exception) {
    return Error{Errc::internal, std::string("index: apply: ") + exception.what()};
  }
}

}  // namespace

Result<ApplyResult> Writer::apply(const ApplyRequest& request, const Call& call) {
  if (request.changes.size() > kApplyMost)
    return Error{Errc::invalid_argument,
                 "index: more than " + std::to_string(kApplyMost) + " changes in one apply"};
  Ticket ticket;
  ticket.request = &request;
  ticket.call = &call;
  std::unique_lock guard(mutex_);
  queue_.push_back(&ticket);
  while (ticket.state != Ticket::State::done) {
    if (ticket.state == Ticket::State::alone) {
      guard.unlock();
      Ticket* const self = &ticket;
      const auto ran = without_exceptions([&] {
        return run({&self, 1}, Patience::to_the_deadline, call);
      });
      if (!ran) return ran.error();
      return std::move(ticket.result);
    }
    if (ticket.state == Ticket::State::queued) {
      if (auto go_on = call.check("index: apply", *deps_.clock); !go_on) {
        std::erase(queue_, &ticket);
        return std::move(go_on).error();
      }
      if (!leading_) {
        lead(guard, ticket);
        continue;
      }
    }
    // What is being applied is waited for: the group ends with the first deadline in it.
    changed_.wait_for(guard, kLookEvery, [&] {
      return ticket.state == Ticket::State::alone || ticket.state == Ticket::State::done ||
             (ticket.state == Ticket::State::queued && !leading_);
    });
  }
  return std::move(ticket.result);
}

void Writer::lead(std::unique_lock<std::mutex>& guard, Ticket& own) {
  std::vector<Ticket*> group;
  group.reserve(kRequestsMost);
  std::size_t changes = 0;
  Call call;
  call.stop = own.call->stop;
  for (Ticket* ticket : queue_) {
    changes += ticket->request->changes.size();
    if (!group.empty() && (group.size() == kRequestsMost || changes > kApplyMost)) break;
    ticket->state = Ticket::State::taken;
    call.deadline = std::min(call.deadline, ticket->call->deadline);
    group.push_back(ticket);
  }
  queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(group.size()));
  leading_ = true;
  guard.unlock();
  const auto ran = without_exceptions([&] { return run(group, Patience::little, call); });
  guard.lock();
  settle(group, ran);
  leading_ = false;
  changed_.notify_all();
}

/// One that was in time does not fail because another was not: it is queued again.
void Writer::settle(std::span<Ticket* const> group, const Result<void>& ran) {
  const auto finish = [&](Ticket& ticket) {
    if (!ran) ticket.result = ran.error();
    ticket.state = Ticket::State::done;
  };
  for (Ticket* ticket : group) {
    if (ran || ran.error().outcome == Outcome::unknown) {
      finish(*ticket);
      continue;
    }
    const Errc code = ran.error().code;
    const bool cut_short = code == Errc::timed_out || code == Errc::cancelled;
    if (!cut_short && (group.size() > 1 || code == Errc::busy))
      ticket->state = Ticket::State::alone;  // so that one fails alone, or waits alone
    else if (cut_short && ticket->call->check("index: apply", *deps_.clock))
      ticket->state = Ticket::State::alone;
    else
      finish(*ticket);
  }
}

Result<void> Writer::run(std::span<Ticket* const> group, Patience patience, const Call& call) {
  sql::Statement* last = nullptr;
  const auto work = [&](sql::PostgresConnection& connection) {
    auto statements = transact(connection, group, patience);
    if (statements) last = statements->back();
    return statements;
  };
  const auto after = [&]() -> Result<void> {
    ARTCACHE_TRY(const HeadRow row, read_head(*last, names_, sql::Need::write));
    for (Ticket* ticket : group)
      if (ticket->result) ticket->result->position = row.head.position;
    committed_(row.head);
    return {};
  };
  return links_.write(work, after, call);
}

/// Rows are locked and read first, without the head; only the end takes that.
Result<std::vector<sql::Statement*>> Writer::transact(sql::PostgresConnection& connection,
                                                      std::span<Ticket* const> group,
                                                      Patience patience) {
  Edit edit;
  ARTCACHE_TRY(const auto fit, prepare_edit(connection, edit, group, patience));
  std::size_t changes = 0;
  for (Ticket* ticket : fit) {
    ticket->result = ApplyResult{{}, edit.apply(*ticket->request)};
    changes += ticket->request->changes.size();
  }
  ARTCACHE_TRY(auto statements, edit.statements(connection, names_));
  ARTCACHE_TRY(const auto ending, number_statements(connection, names_, retention_, changes));
  statements.insert(statements.end(), ending.begin(), ending.end());
  return statements;
}

/// Returns the requests whose locks are held; the others have their answer.
Result<std::vector<Writer::Ticket*>> Writer::prepare_edit(sql::PostgresConnection& connection,
                                                          Edit& edit,
                                                          std::span<Ticket* const> group,
                                                          Patience patience) {
  std::vector<const ApplyRequest*> requests;
  sql::PostgresArray fences(sql::PostgresType::int8), ids(sql::PostgresType::uuid);
  for (const Ticket* ticket : group) {
    requests.push_back(ticket->request);
    if (ticket->request->fence != 0) fences.add().number(to_sql(ticket->request->fence));
  }
  for (const FileId& id : Edit::ids_of(requests)) ids.add().bytes(id.bytes());

  std::vector<sql::Statement*> all;
  const auto add = [&](std::string_view text,
                       const sql::PostgresArray* array) -> Result<sql::Statement*> {
    ARTCACHE_TRY(sql::Statement * s, connection.prepare(names_.text(text)));
    if (array != nullptr) array->bind(*s, 0);
    all.push_back(s);
    return s;
  };
  if (patience == Patience::little) ARTCACHE_CHECK(add(kGroupWaits, nullptr));
  sql::Statement *held = nullptr, *rows = nullptr, *revisions = nullptr, *head = nullptr;
  if (!fences.empty()) {
    ARTCACHE_TRY(held, add("SELECT fence FROM {p}holder WHERE fence = ANY($1) ORDER BY fence "
                           "FOR KEY SHARE",
                           &fences));
  }
  if (!ids.empty()) {
    ARTCACHE_TRY(rows, add("SELECT file_id, artcache_hash, cache_updated_at, cache_ttl_hours, "
                           "updated_at, artcache_path, storage_path, storage_filename "
                           "FROM {p}files WHERE file_id = ANY($1) ORDER BY file_id FOR UPDATE",
                           &ids));
    if (std::ranges::any_of(requests, compares)) {
      ARTCACHE_TRY(revisions,
                   add("SELECT file_id, seq, gone FROM {p}revision WHERE file_id = ANY($1)", &ids));
    }
  }
  ARTCACHE_TRY(head, add(kHeadText, nullptr));
  ARTCACHE_CHECK(connection.run_all(all));

  ARTCACHE_TRY(const HeadRow row, read_head(*head, names_, sql::Need::write));
  // The revisions of what was removed go with a reset, as they do with what is trimmed away.
  edit.know_oldest(std::max(row.head.oldest_seq, row.base + 1));
  if (row.loading) edit.know_loading();
  std::unordered_map<FileId, std::uint64_t> revision_of;
  while (revisions != nullptr) {
    ARTCACHE_TRY(const bool found, revisions->step());
    if (!found) break;
    ARTCACHE_TRY(const FileId id, read_id(*revisions, 0));
    if (revisions->integer(2) != 0)
      edit.know_removed(id, from_sql(revisions->integer(1)));
    else
      revision_of[id] = from_sql(revisions->integer(1));
  }
  while (rows != nullptr) {
    ARTCACHE_TRY(const bool found, rows->step());
    if (!found) break;
    ARTCACHE_TRY(const FileId id, read_id(*rows, 0));
    StoredRow stored;
    ARTCACHE_TRY(stored.hash, read_hash(*rows, 1));
    stored.freshness = read_freshness(*rows, 2);
    stored.updated_at = Timestamp(std::chrono::microseconds(rows->integer(4)));
    stored.path = rows->is_null(5) ? expected_path(rows->text(6), rows->text(7))
                                   : std::string(text_of(rows->blob(5)));
    const auto at = revision_of.find(id);
    stored.revision = at == revision_of.end() ? row.base : at->second;
    edit.know(id, stored);
  }
  ARTCACHE_TRY(const auto living, living_fences(held));
  std::vector<Ticket*> fit;
  for (Ticket* ticket : group) {
    if (living.contains(ticket->request->fence))
      fit.push_back(ticket);
    else
      ticket->result = lease_lost(ticket->request->fence);
  }
  return fit;
}

Result<std::vector<sql::Statement*>> number_statements(sql::Connection& connection,
                                                       const Names& names,
                                                       const LogRetention& retention,
                                                       std::size_t changes) {
  ARTCACHE_TRY(sql::Statement * number,
               connection.prepare(names.text("SET CONSTRAINTS {p}number IMMEDIATE")));
  ARTCACHE_TRY(
      sql::Statement * trim,
      connection.prepare(names.text("SELECT {p}trim($1, $2, make_interval(secs => $3), $4)")));
  trim->bind(0, to_sql(retention.rows_most)).bind(1, to_sql(retention.bytes_most));
  trim->bind(2, static_cast<double>(retention.age_most.count()) / 1000.0);
  trim->bind(3, to_sql(changes + kTrimBesides));
  ARTCACHE_TRY(sql::Statement * head, connection.prepare(names.text(kHeadText)));
  return std::vector<sql::Statement*>{number, trim, head};
}

}  // namespace artcache::postgres
