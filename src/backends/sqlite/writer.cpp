// SPDX-License-Identifier: Apache-2.0
#include "backends/sqlite/writer.hpp"

#include <algorithm>
#include <thread>

#include "backends/sqlite/scan_leaf.hpp"
#include "util/try.hpp"

namespace artcache::sqlite {
namespace {

/// A leader works for others too: once it may write, its own deadline must not fail them.
const Call kNoLimit;

/// How late a deadline on a clock moved by hand may be noticed.
constexpr std::chrono::nanoseconds kLookEvery = std::chrono::milliseconds(100);

/// How often a leader lets others run before it commits without them.
constexpr int kTurns = 4;

/// The others must hear of it when there is no memory: whoever leads may not leave by an exception.
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
  // Refused here, a bad request does not fail the others that it would share a commit with.
  for (const ScannedFile& file : request.scanned) ARTCACHE_CHECK(check_name(file.path));
  Ticket ticket;
  ticket.request = &request;
  ARTCACHE_CHECK(queue_and_wait(ticket, call));
  return std::move(ticket.result);
}

Result<void> Writer::add_intent(const Intent& intent, const Call& call) {
  Ticket ticket;
  ticket.intent = &intent;
  ARTCACHE_CHECK(queue_and_wait(ticket, call));
  if (!ticket.result) return std::move(ticket.result).error();
  return {};
}

Result<IndexHead> Writer::exclusively(const Work& work, const Call& call, Durability durability) {
  Ticket ticket;
  ticket.work = &work;
  ticket.durability = durability;
  ARTCACHE_CHECK(queue_and_wait(ticket, call));
  if (!ticket.result) return std::move(ticket.result).error();
  return ticket.head;
}

Result<void> Writer::queue_and_wait(Ticket& ticket, const Call& call) {
  const std::stop_callback stopped(call.stop, [&] {
    const std::scoped_lock guard(mutex_);
    changed_.notify_all();
  });
  std::unique_lock guard(mutex_);
  queue_.push_back(&ticket);
  while (ticket.state != Ticket::State::done) {
    if (ticket.state == Ticket::State::queued) {
      if (auto go_on = call.check("index: apply", *deps_.clock); !go_on) {
        std::erase(queue_, &ticket);
        changed_.notify_all();  // another one may be first now
        return go_on;
      }
    }
    if (may_lead(ticket))
      lead(guard, ticket, call);
    else
      wait(guard, ticket, call);
  }
  return {};
}

bool Writer::may_lead(const Ticket& ticket) const {
  return !leading_ && !queue_.empty() && queue_.front() == &ticket;
}

/// A request that is being applied is waited for whatever the deadline.
void Writer::wait(std::unique_lock<std::mutex>& guard, Ticket& ticket, const Call& call) {
  if (ticket.state == Ticket::State::taken || !call.has_deadline())
    changed_.wait(guard);
  else
    changed_.wait_for(guard, std::min(call.remaining(*deps_.clock), kLookEvery));
}

void Writer::lead(std::unique_lock<std::mutex>& guard, Ticket& own, const Call& call) {
  leading_ = true;
  guard.unlock();
  Batch batch;
  IndexHead head;
  const auto written = without_exceptions([&] { return write(own, call, batch, head); });
  if (written) committed_(head);
  guard.lock();
  if (batch.size == 0) {
    // Only the leader's own wait is over; whoever is next tries for the rest.
    batch.tickets[batch.size++] = &own;
    std::erase(queue_, &own);
  }
  for (Ticket* ticket : std::span(batch.tickets).first(batch.size)) {
    if (!written) ticket->result = written.error();
    ticket->head = head;
    ticket->state = Ticket::State::done;
  }
  leading_ = false;
  // Without the mutex, which whoever wakes up needs.
  guard.unlock();
  changed_.notify_all();
  guard.lock();
}

/// The batch is empty when it did not come to begin.
Result<void> Writer::write(const Ticket& own, const Call& call, Batch& batch, IndexHead& head) {
  const Peers::Turn turn = peers_.take_turn(call, *deps_.clock);
  ARTCACHE_CHECK(begin(own, call));
  return run(batch, head);
}

Result<void> Writer::begin(const Ticket& own, const Call& call) {
  ARTCACHE_CHECK(replace_unfit(call));
  connection_->set_call(&call);
  auto begun = choose_settings(own.durability);
  if (begun) begun = connection_->begin(sql::TransactionKind::write);
  connection_->set_call(&kNoLimit);
  return begun;
}

bool Writer::somebody_waits() {
  {
    const std::scoped_lock guard(mutex_);
    if (!queue_.empty()) return true;
  }
  return peers_.somebody_waits();
}

/// After an error of the device, or damage, another one may do better.
Result<void> Writer::replace_unfit(const Call& call) {
  if (connection_->healthy()) return {};
  ARTCACHE_TRY(connection_, options_.connect(call));
  durability_ = Durability::now;
  return {};
}

/// Work that waits for no disk runs alone, so these are nobody else's settings.
Result<void> Writer::choose_settings(Durability wanted) {
  if (wanted == durability_) return {};
  // A call may end between the two: then the next one says both anew.
  durability_.reset();
  const bool now = wanted == Durability::now;
  if (options_.durable)
    ARTCACHE_CHECK(
        connection_->execute(now ? "PRAGMA synchronous = EXTRA" : "PRAGMA synchronous = NORMAL"));
  ARTCACHE_CHECK(connection_->execute(now ? "PRAGMA wal_autocheckpoint = 1000"
                                          : "PRAGMA wal_autocheckpoint = 16000"));
  durability_ = wanted;
  return {};
}

/// Work runs alone, because it may fail after it wrote something; requests are gathered, in the
/// order in which they came, up to the next work.
bool Writer::take_more(Batch& batch) {
  const std::scoped_lock guard(mutex_);
  const std::size_t before = batch.size;
  while (!queue_.empty()) {
    Ticket& next = *queue_.front();
    const std::size_t changes = next.request != nullptr ? next.request->changes.size() : 0;
    const bool room = batch.size < kRequestsMost && batch.changes + changes <= kChangesMost &&
                      next.work == nullptr;
    if (!room && batch.size > 0) break;
    batch.tickets[batch.size++] = &next;
    batch.changes += changes;
    next.state = Ticket::State::taken;
    queue_.pop_front();
    if (next.work != nullptr) break;
  }
  return batch.size > before;
}

/// All of the batch in the transaction that is open. A request that cannot be applied fails alone
/// as long as it wrote nothing; an error of the engine fails all.
Result<void> Writer::run(Batch& batch, IndexHead& head) {
  struct RollBack {
    sql::Connection& connection;
    ~RollBack() {
      if (connection.in_transaction()) connection.rollback();
    }
  } const roll_back{*connection_};
  take_more(batch);
  ARTCACHE_TRY(HeadRow row, read_head(*connection_, names_, sql::Need::write));
  row.boot = options_.boot;
  Ticket& first = *batch.tickets.front();
  ARTCACHE_CHECK(first.work != nullptr ? run_work(first, row) : run_requests(batch, row));
  head = row.head;
  return connection_->commit();
}

Result<void> Writer::run_work(Ticket& ticket, HeadRow& row) {
  ARTCACHE_CHECK((*ticket.work)(*connection_, row));
  ticket.result = ApplyResult{row.head.position, {}};
  return write_head(*connection_, names_, row);
}

/// Whoever shared the last commits has just been woken and will mostly be back at once, and a
/// commit costs more than a few turns of the scheduler.
bool Writer::wait_for_more(Batch& batch) {
  for (int turn = 0; turn < kTurns && batch.size < expected_; ++turn) {
    std::this_thread::yield();
    if (take_more(batch)) return true;
  }
  return false;
}

/// Those that come in while others are applied share the commit: it costs as much as many of them.
Result<void> Writer::run_requests(Batch& batch, HeadRow& row) {
  Edit edit(*connection_, names_, row, deps_.clock->now());
  std::size_t at = 0;
  do {
    for (; at < batch.size; ++at) {
      Ticket& ticket = *batch.tickets[at];
      if (ticket.intent != nullptr) {
        ARTCACHE_CHECK(put_intent(*connection_, names_, *ticket.intent));
        ticket.result = ApplyResult{edit.head().head.position, {}};
        continue;
      }
      ticket.result = edit.apply(*ticket.request);
      if (!ticket.result && ticket.result.error().code != Errc::lease_lost)
        return ticket.result.error();
    }
  } while (take_more(batch) || wait_for_more(batch));
  expected_ = std::max(batch.size, expected_ - 1);
  ARTCACHE_CHECK(edit.flush(options_.retention));
  row = edit.head();
  return {};
}

}  // namespace artcache::sqlite
