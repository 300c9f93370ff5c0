// SPDX-License-Identifier: Apache-2.0
// The loop that makes an index follow its storage, around WatchMachine.
#pragma once

#include <artcache/watch.hpp>
#include <functional>
#include <string>

#include "core/reconcile/context.hpp"
#include "util/mutex.hpp"

namespace artcache::reconcile {

/// What the loop shows of itself. Safe to call from any thread.
class WatchBoard {
 public:
  [[nodiscard]] WatchStatus get() const {
    const util::MutexLock lock(mutex_);
    return status_;
  }
  template <class F>
  void update(F&& change) {
    const util::MutexLock lock(mutex_);
    change(status_);
  }

 private:
  mutable util::Mutex mutex_;
  WatchStatus status_ ARTCACHE_GUARDED_BY(mutex_);
};

/// How the loop gets at the index: what it does is done under locks, for which it waits.
struct WatchAccess {
  using Work = std::function<Result<void>(Session&)>;
  /// Beside all but rebuilds. `work` is begun anew when it has yielded to one.
  std::function<Result<void>(const Work& work, const Call& call)> beside_others;
  /// An incremental rebuild of everything, with pruning.
  std::function<Result<RebuildReport>(const Call& call)> rescan_all;
};

/// Until the call ends, which is a success. Errors: see CacheRebuildService::watch().
Result<void> watch(const Context& context, const WatchAccess& access, const WatchRequest& request,
                   WatchBoard& board, const Call& call);

}  // namespace artcache::reconcile
