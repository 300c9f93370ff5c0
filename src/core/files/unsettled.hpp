// SPDX-License-Identifier: Apache-2.0
// Which changes a service has yet to settle.
#pragma once

#include <artcache/metadata_store.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>

#include "util/mutex.hpp"

namespace artcache::files {

/// Ids only; what is to be done about them stands in the intents. Safe to call from any thread.
class Unsettled {
 public:
  enum class Why : std::uint8_t {
    abandoned,  ///< ours: given up, and neither finished nor taken back
    watched,    ///< settled, but a request of its writer may still arrive at the storage
    others,     ///< of writers who were alive, or seemed so, when it was last looked at
  };

  /// Later reasons replace earlier ones, but for `others`, which says least.
  void add(const FileId& id, Why why);
  void erase(const FileId& id);
  [[nodiscard]] bool is(const FileId& id, Why why) const;
  [[nodiscard]] std::size_t count() const;

  /// Marks what is known now; forget_ended() with this mark touches nothing that was added since.
  [[nodiscard]] std::uint64_t mark() const;
  /// Forgets what was known at `mark` and is in none of `there`, read after it: others ended it.
  void forget_ended(std::uint64_t mark, std::span<const Intent> there);

 private:
  struct Known {
    Why why;
    std::uint64_t added;
  };
  mutable util::Mutex mutex_;
  std::unordered_map<FileId, Known> known_ ARTCACHE_GUARDED_BY(mutex_);
  std::uint64_t added_ ARTCACHE_GUARDED_BY(mutex_) = 0;
};

}  // namespace artcache::files
