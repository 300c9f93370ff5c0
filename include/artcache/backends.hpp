// SPDX-License-Identifier: Apache-2.0
// From an address to a working backend: the table of schemes, filled by the host.
#pragma once

#include <artcache/call.hpp>
#include <artcache/clock.hpp>
#include <artcache/export.hpp>
#include <artcache/logger.hpp>
#include <artcache/metrics.hpp>
#include <artcache/result.hpp>
#include <artcache/url.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace artcache {

class LockManager;
class LockStore;
class MetadataStore;
class StorageBackend;

/// What every backend is given from outside. The objects must outlive whatever is opened with it.
struct Deps {
  const Clock* clock = &system_clock();
  Logger* logger = &null_logger();
  Metrics* metrics = &null_metrics();
};

/// What migrate_index() did: versions of the tables; before = 0 when there were none.
struct Migrated {
  std::uint32_t before = 0, after = 0;
};

/// A table from scheme to factory. An object, not a global: fill one in main() and pass it on.
/// Filling is not safe beside other calls; opening is safe from any thread.
class ARTCACHE_EXPORT Backends {
 public:
  using StorageFactory =
      std::function<Result<std::unique_ptr<StorageBackend>>(const Url&, const Deps&, const Call&)>;

  using IndexFactory =
      std::function<Result<std::unique_ptr<MetadataStore>>(const Url&, const Deps&, const Call&)>;

  using IndexMigration = std::function<Result<Migrated>(const Url&, const Deps&, const Call&)>;

  /// A place for locks beside the index: `index` mints the fences and knows which of them stand.
  using LocksFactory = std::function<Result<std::unique_ptr<LockStore>>(
      const Url&, LockStore& index, const Deps&, const Call&)>;

  Backends() = default;  ///< an empty table

  /// What this build of artcache brings with it.
  static Backends builtin();

  /// A scheme that was left out is no longer. Errors: conflict when the scheme has a storage,
  /// invalid_argument when it is no scheme.
  Result<void> add_storage(std::string scheme, StorageFactory factory);
  /// The same for an index; one scheme may have both.
  Result<void> add_index(std::string scheme, IndexFactory factory);
  /// How the tables of an index of this scheme become those of this version of artcache.
  Result<void> add_migration(std::string scheme, IndexMigration migration);
  /// The same for a place that keeps locks and nothing else.
  Result<void> add_locks(std::string scheme, LocksFactory factory);
  /// Makes open_* of this scheme answer unsupported with `reason`, such as "is not compiled in",
  /// which is another thing than a scheme that nobody knows.
  /// Errors: conflict when it is not left out at all, invalid_argument when it is no scheme.
  Result<void> add_left_out(std::string scheme, std::string reason);

  /// Opens what the address names; checks that it is there.
  /// Errors: invalid_argument (unknown scheme or parameter, each named), unsupported (known, but
  /// left out of this build or no storage), and those of the backend.
  [[nodiscard]] Result<std::unique_ptr<StorageBackend>> open_storage(const Url& url,
                                                                     const Deps& deps,
                                                                     const Call& call) const;

  /// The same for an index. One that is not there is made; one of an older artcache is left as it
  /// is. Errors: also unsupported when it is to be migrated, or of a newer artcache.
  [[nodiscard]] Result<std::unique_ptr<MetadataStore>> open_index(const Url& url, const Deps& deps,
                                                                  const Call& call) const;

  /// Makes the tables of an index those of this version of artcache, each step whole or not at
  /// all; nothing when they are. Several may do it at once. Whoever has it open with an older
  /// artcache stops at its next commit. Errors: not_found (no such database), unsupported (made
  /// by a newer artcache, or a scheme whose indexes are made anew each time), and those of the
  /// backend.
  [[nodiscard]] Result<Migrated> migrate_index(const Url& url, const Deps& deps,
                                               const Call& call) const;

  /// The locks on the index at this address, with an opening of the index of their own. For one
  /// that is open already, make_lock_manager() does without; for `mem:` nothing else makes sense.
  /// Errors: as open_index(), unsupported when the index keeps no locks, and those of
  /// make_lock_manager().
  [[nodiscard]] Result<std::unique_ptr<LockManager>> open_locks(const Url& url, const Deps& deps,
                                                                const Call& call) const;
  /// The same where the locks may be kept beside the index, such as in `redis:`. All who work on
  /// one index must name the same place. `index` must outlive the manager.
  [[nodiscard]] Result<std::unique_ptr<LockManager>> open_locks(const Url& url, LockStore& index,
                                                                const Deps& deps,
                                                                const Call& call) const;

  struct Scheme {
    std::string name;
    bool storage = false, index = false, locks = false;
    std::string left_out;  ///< why it is not in this build; empty when it is
  };
  /// All schemes, by name.
  [[nodiscard]] std::vector<Scheme> schemes() const;

 private:
  struct Entry {
    StorageFactory storage;
    IndexFactory index;
    IndexMigration migration;
    LocksFactory locks;
    std::string left_out;
    [[nodiscard]] Error refusal(const Url& url, std::string_view what) const;
  };
  Result<Entry*> claim(std::string& scheme);
  [[nodiscard]] Result<const Entry*> find(const Url& url) const;
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace artcache
