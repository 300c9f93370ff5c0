// SPDX-License-Identifier: Apache-2.0
// What the loop behind watch() does next. Told what happened, and when; waits for nothing and
// touches nothing.
#pragma once

#include <artcache/change_notices.hpp>
#include <artcache/clock.hpp>
#include <artcache/storage_backend.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/reconcile/applier.hpp"
#include "util/path_set.hpp"

namespace artcache::reconcile {

struct WatchTuning {
  std::size_t paths_most = 10'000;
  std::chrono::nanoseconds rescan_every{0};  ///< zero: never of itself
  /// After the first notice, so that what belongs together is done together, and a sidecar is
  /// written by the time it is read.
  std::chrono::nanoseconds quiet = std::chrono::milliseconds(20);
  /// After a look at a sidecar: by then its stamp vouches for what it says.
  std::chrono::nanoseconds settled_after = Stamp::kSettledAfter + std::chrono::milliseconds(500);
  std::chrono::nanoseconds retry_least = std::chrono::milliseconds(200);
  std::chrono::nanoseconds retry_most = std::chrono::seconds(30);
  /// A lost folder that was not seen whole is compared again.
  std::chrono::nanoseconds unseen_again = std::chrono::seconds(60);
};

/// For one thread. Begins with the whole storage to be compared.
class WatchMachine {
 public:
  using Time = Clock::SteadyTime;

  struct Action {
    enum class Kind : std::uint8_t {
      wait,          ///< until a notice comes, or `until`
      distrust,      ///< say in the index that notices were lost
      settle,        ///< make the index follow these sidecars
      settle_again,  ///< the same, now that their stamps have settled
      rescan,        ///< compare these folders with the index
      trust,         ///< take back what `distrust` said
    };
    Kind kind = Kind::wait;
    Time until = Time::max();
    std::vector<std::string> paths = {};
  };

  WatchMachine(const WatchTuning& tuning, Time now);

  void noticed(const ChangeBatch& batch, Time now);
  Action next(Time now);

  // What became of an action; each path of it is told of once.
  void settled(const Action& action, std::span<const Settled> outcomes, Time now);
  void rescanned(const std::string& folder, bool saw_all, Time now);
  enum class Whose : std::uint8_t { ours, another };
  /// The index is suspect now, for this reason or for another one, which stays.
  void distrusted(Whose reason);
  void trusted();
  /// None of these was done: they come again after a while.
  void failed(const Action& action, Time now);

  /// Paths that are still to be looked at for the first time.
  [[nodiscard]] std::size_t pending() const;
  [[nodiscard]] bool suspect() const { return !lost_.empty() || marked_; }
  /// Why the index is, for people.
  [[nodiscard]] std::string reason() const;

 private:
  struct Later {
    Time due;
    std::string path;
  };
  void add_folder(std::string folder, Time now);
  void add_file(std::string path, Time now);
  void begin_quiet(Time now);
  void lose(const std::string& folder);
  void take_up_due(Time now);
  static Action take(Action::Kind kind, std::deque<std::string>& from, std::size_t most);
  Action look_again(Time now);
  [[nodiscard]] Time next_time() const;
  [[nodiscard]] bool is_to_come(std::string_view folder) const;

  const WatchTuning tuning_;
  util::PathSet pending_;                    // nobody has begun with it
  std::deque<std::string> folders_, files_;  // taken out of it, worked off before more is taken
  Time take_at_{};                           // when there is something pending
  std::deque<Later> again_;                  // sidecars to be looked at once more, by time
  std::deque<Later> unseen_;                 // folders, likewise
  std::vector<std::string> lost_;            // folders whose notices were lost
  bool marked_ = false, ours_ = false;
  Time rescan_at_ = Time::max(), blocked_until_{};
  std::chrono::nanoseconds retry_;
};

}  // namespace artcache::reconcile
