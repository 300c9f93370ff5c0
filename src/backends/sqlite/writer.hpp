// SPDX-License-Identifier: Apache-2.0
// The one way to write: callers queue up, one of them commits for all.
#pragma once

#include <array>
#include <artcache/backends.hpp>
#include <artcache/metadata_store.hpp>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "backends/sqlite/edit.hpp"
#include "backends/sqlite/peers.hpp"

namespace artcache::sqlite {

/// Group commit over one connection. Whoever is first in the queue when nobody writes becomes the
/// leader: it takes the right to write, applies what is queued and what comes in while it does,
/// commits once and wakes the others. Until the leader has the right to write a caller can still
/// leave at its deadline; after that the work is bounded by the disk and is waited for, because the
/// request belongs to the caller.
class Writer {
 public:
  using Connect = std::function<Result<std::unique_ptr<sql::Connection>>(const Call&)>;
  using Committed = std::function<void(const IndexHead&)>;

  struct Options {
    Connect connect;  ///< another connection, when the one at hand is no longer fit
    LogRetention retention;
    bool durable = true;  ///< every commit waits for the disk
    std::string boot;     ///< noted in the head with every commit, see HeadRow::boot
  };
  Writer(std::unique_ptr<sql::Connection> connection, const Peers& peers, Names names,
         Options options, const Deps& deps, Committed committed)
      : connection_(std::move(connection)),
        peers_(peers),
        names_(std::move(names)),
        options_(std::move(options)),
        deps_(deps),
        committed_(std::move(committed)) {}

  Result<ApplyResult> apply(const ApplyRequest& request, const Call& call);
  /// Shares commits with apply().
  Result<void> add_intent(const Intent& intent, const Call& call);

  /// Runs `work` alone in a write transaction that carries the head; what it leaves in the head row
  /// is written. Errors: those of `work`, and of the engine.
  using Work = std::function<Result<void>(sql::Connection&, HeadRow&)>;
  enum class Durability : std::uint8_t {
    now,
    /// What nobody can see yet needs no wait for the disk of its own. And the log may grow longer
    /// before it is moved into the database: who does much of this writes the same pages often.
    with_the_next,
  };
  Result<IndexHead> exclusively(const Work& work, const Call& call,
                                Durability durability = Durability::now);

  /// Whether others want to write, here or in another process. From any thread.
  [[nodiscard]] bool somebody_waits();

 private:
  // In one commit.
  static constexpr std::size_t kRequestsMost = 64, kChangesMost = 2 * kApplyMost;

  struct Ticket {
    const ApplyRequest* request = nullptr;  // one of these three
    const Intent* intent = nullptr;
    const Work* work = nullptr;
    Durability durability = Durability::now;
    enum class State : std::uint8_t { queued, taken, done } state = State::queued;
    Result<ApplyResult> result = Error{Errc::internal, "index: never run"};
    IndexHead head;
  };
  /// What one commit is for.
  struct Batch {
    std::array<Ticket*, kRequestsMost> tickets{};
    std::size_t size = 0, changes = 0;
  };

  Result<void> queue_and_wait(Ticket& ticket, const Call& call);
  [[nodiscard]] bool may_lead(const Ticket& ticket) const;
  void wait(std::unique_lock<std::mutex>& guard, Ticket& ticket, const Call& call);
  void lead(std::unique_lock<std::mutex>& guard, Ticket& own, const Call& call);
  Result<void> write(const Ticket& own, const Call& call, Batch& batch, IndexHead& head);
  Result<void> begin(const Ticket& own, const Call& call);
  Result<void> replace_unfit(const Call& call);
  Result<void> choose_settings(Durability wanted);
  bool take_more(Batch& batch);
  bool wait_for_more(Batch& batch);
  Result<void> run(Batch& batch, IndexHead& head);
  Result<void> run_requests(Batch& batch, HeadRow& row);
  Result<void> run_work(Ticket& ticket, HeadRow& row);

  std::unique_ptr<sql::Connection> connection_;  // the leader's
  /// That it has; nothing where changing it was cut short. The leader's.
  std::optional<Durability> durability_ = Durability::now;
  std::size_t expected_ = 1;  // requests in a commit, by those before; the leader's
  const Peers& peers_;
  const Names names_;
  const Options options_;
  const Deps deps_;
  const Committed committed_;

  std::mutex mutex_;
  std::deque<Ticket*> queue_;  // guarded by mutex_
  bool leading_ = false;       // guarded by mutex_: somebody is
  /// One for all: most who wait, wait for the same commit.
  std::condition_variable changed_;
};

}  // namespace artcache::sqlite
