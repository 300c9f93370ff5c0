// SPDX-License-Identifier: Apache-2.0
#include "backends/sqlite/writer.hpp"

#include <algorithm>

#include "backends/sqlite/scan_leaf.hpp"
#include "util/try.hpp"

namespace artcache::sqlite {
namespace {

/// A leader works for others too: once it may write, its own deadline must not fail them.
const Call kNoLimit;

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

Result<IndexHead> Writer::exclusively(const Work& work, const Call& call, Durability durability) {
  Ticket ticket;
  ticket.work = &work;
  ticket.durability = durability;
  ARTCACHE_CHECK(queue_and_wait(ticket, call));
  if (!ticket.result) return std::move(ticket.result).error();
  return ticket.head;
}

Result<void> Writer::queue_and_wait(Ticket& ticket, const Call& call) {
  std::unique_lock guard(mutex_);
  queue_.push_back(&ticket);
  while (ticket.state != Ticket::State::done) {
    if (ticket.state == Ticket::State::queued) {
      if (auto go_on = call.check("index: apply", *deps_.clock); !go_on) {
        std::erase(queue_, &ticket);
        return go_on;
      }
      if (!leading_) {
        lead(guard, call, ticket);
        continue;
      }
    }
    // A request that is being applied is waited for whatever the deadline.
    if (ticket.state == Ticket::State::taken || !call.has_deadline())
      changed_.wait(guard, call.stop, [&] {
        return ticket.state == Ticket::State::done ||
               (ticket.state == Ticket::State::queued && !leading_);
      });
    else
      changed_.wait_for(guard, call.stop, call.remaining(*deps_.clock),
                        [&] { return ticket.state != Ticket::State::queued || !leading_; });
    if (ticket.state == Ticket::State::taken && call.stop.stop_requested())
      changed_.wait(guard, [&] { return ticket.state == Ticket::State::done; });
  }
  return {};
}

void Writer::lead(std::unique_lock<std::mutex>& guard, const Call& call, Ticket& own) {
  std::vector<Ticket*> batch;
  batch.reserve(kRequestsMost);
  leading_ = true;
  guard.unlock();
  connection_->set_call(&call);
  auto begun = without_exceptions([&] { return begin(own); });
  connection_->set_call(&kNoLimit);
  guard.lock();

  if (!begun) {
    // Only the leader's own wait is over; whoever is next tries for the rest.
    own.result = std::move(begun).error();
    own.state = Ticket::State::done;
    std::erase(queue_, &own);
  } else {
    take_batch(own, batch);
    guard.unlock();
    IndexHead head;
    const auto ran = without_exceptions([&] { return run(batch, head); });
    if (ran) committed_(head);
    guard.lock();
    for (Ticket* ticket : batch) {
      if (!ran) ticket->result = ran.error();
      ticket->head = head;
      ticket->state = Ticket::State::done;
    }
  }
  leading_ = false;
  changed_.notify_all();
}

/// Work runs alone, because it may fail after it wrote something; requests are gathered.
void Writer::take_batch(Ticket& own, std::vector<Ticket*>& batch) {
  const auto take = [&](Ticket* ticket) {
    ticket->state = Ticket::State::taken;
    batch.push_back(ticket);
  };
  if (own.work != nullptr) {
    take(&own);
  } else {
    for (Ticket* ticket : queue_)
      if (ticket->work == nullptr && batch.size() < kRequestsMost) take(ticket);
  }
  std::erase_if(queue_, [](const Ticket* t) { return t->state == Ticket::State::taken; });
}

/// A leader that waits for no disk leads alone, because the others want theirs to be durable.
Result<void> Writer::begin(const Ticket& own) {
  if (durable_) {
    const bool lazily = own.durability == Durability::with_the_next;
    ARTCACHE_CHECK(connection_->execute(lazily ? "PRAGMA synchronous = NORMAL"
                                               : "PRAGMA synchronous = EXTRA"));
  }
  return connection_->begin(sql::TransactionKind::write);
}

/// All of the batch in the transaction that is open. A request that cannot be applied fails alone
/// as long as it wrote nothing; an error of the engine fails all.
Result<void> Writer::run(std::span<Ticket* const> batch, IndexHead& head) {
  struct RollBack {
    sql::Connection& connection;
    ~RollBack() {
      if (connection.in_transaction()) connection.rollback();
    }
  } const roll_back{*connection_};
  ARTCACHE_CHECK(check_writable(*connection_, names_));
  ARTCACHE_TRY(HeadRow row, read_head(*connection_, names_));
  for (Ticket* ticket : batch) ARTCACHE_CHECK(run_one(*ticket, row));
  head = row.head;
  return connection_->commit();
}

Result<void> Writer::run_one(Ticket& ticket, HeadRow& row) {
  if (ticket.work != nullptr) {
    if (auto done = (*ticket.work)(*connection_, row); !done) return done;
    ticket.result = ApplyResult{row.head.position, {}};
    return write_head(*connection_, names_, row);
  }
  Edit edit(*connection_, names_, row, deps_.clock->now());
  ticket.result = edit.apply(*ticket.request);
  if (!ticket.result)
    return ticket.result.error().code == Errc::lease_lost ? Result<void>() : ticket.result.error();
  ARTCACHE_CHECK(edit.flush(retention_));
  row = edit.head();
  return {};
}

}  // namespace artcache::sqlite
