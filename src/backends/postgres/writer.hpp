// SPDX-License-Identifier: Apache-2.0
// Callers queue up, one of them commits for all.
#pragma once

#include <artcache/metadata_store.hpp>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>

#include "backends/postgres/edit.hpp"
#include "backends/postgres/link.hpp"

namespace artcache::postgres {

/// What the log keeps: the newest rows within all three limits.
struct LogRetention {
  std::uint64_t rows_most = 100'000;
  std::uint64_t bytes_most = 256 * 1024 * 1024;
  std::chrono::milliseconds age_most = std::chrono::hours(7 * 24);
};

/// Group commit: the head is taken by one transaction at a time, so each commit waits for the disk
/// alone, and what waits meanwhile goes with the next one. A group gives up soon where somebody
/// holds one of its rows, such as an idle psql; then each of its requests is run by its own caller,
/// and only the one in question waits.
class Writer {
 public:
  using Committed = std::function<void(const IndexHead&)>;
  Writer(Links& links, Names names, LogRetention retention, const Deps& deps, Committed committed)
      : links_(links),
        names_(std::move(names)),
        retention_(retention),
        deps_(deps),
        committed_(std::move(committed)) {}

  Result<ApplyResult> apply(const ApplyRequest& request, const Call& call);

 private:
  static constexpr std::size_t kRequestsMost = 64;  // in one commit

  struct Ticket {
    const ApplyRequest* request = nullptr;
    const Call* call = nullptr;
    enum class State : std::uint8_t { queued, taken, alone, done } state = State::queued;
    Result<ApplyResult> result = Error{Errc::internal, "index: never run"};
  };

  void lead(std::unique_lock<std::mutex>& guard, Ticket& own);
  void settle(std::span<Ticket* const> group, const Result<void>& ran);
  /// How long rows that others hold are waited for.
  enum class Patience : std::uint8_t { little, to_the_deadline };
  Result<void> run(std::span<Ticket* const> group, Patience patience, const Call& call);
  Result<std::vector<sql::Statement*>> transact(sql::PostgresConnection& connection,
                                                std::span<Ticket* const> group, Patience patience);
  Result<std::vector<Ticket*>> prepare_edit(sql::PostgresConnection& connection, Edit& edit,
                                            std::span<Ticket* const> group, Patience patience);

  Links& links_;
  const Names names_;
  const LogRetention retention_;
  const Deps deps_;
  const Committed committed_;

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Ticket*> queue_;  // guarded by mutex_
  bool leading_ = false;       // guarded by mutex_
};

/// The end of every writing transaction: numbers its changes, which takes the head, and trims the
/// log. The head can be read behind it.
Result<std::vector<sql::Statement*>> number_statements(sql::Connection& connection,
                                                       const Names& names,
                                                       const LogRetention& retention,
                                                       std::size_t changes);

}  // namespace artcache::postgres
