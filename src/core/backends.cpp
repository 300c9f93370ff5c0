// SPDX-License-Identifier: Apache-2.0
#include <artcache/backends.hpp>

#include <artcache/lock_manager.hpp>
#include <artcache/metadata_store.hpp>
#include <artcache/storage_backend.hpp>

#include "core/locks/stored_lock_manager.hpp"
#include "util/suggest.hpp"
#include "util/try.hpp"

namespace artcache {

Result<Backends::Entry*> Backends::claim(std::string& scheme) {
  ARTCACHE_TRY(const Url url, Url::parse(scheme + ":"));
  if (url.scheme().size() != scheme.size())
    return Error{Errc::invalid_argument,
                 "backends: a scheme is given without ':' and what follows"};
  scheme = url.scheme();
  return &entries_[scheme];
}

Result<void> Backends::add_storage(std::string scheme, StorageFactory factory) {
  ARTCACHE_TRY(Entry * entry, claim(scheme));
  if (entry->storage)
    return Error{Errc::conflict, "backends: '" + scheme + "' has a storage already"};
  entry->storage = std::move(factory);
  entry->left_out.clear();
  return {};
}

Result<void> Backends::add_index(std::string scheme, IndexFactory factory) {
  ARTCACHE_TRY(Entry * entry, claim(scheme));
  if (entry->index) return Error{Errc::conflict, "backends: '" + scheme + "' has an index already"};
  entry->index = std::move(factory);
  entry->left_out.clear();
  return {};
}

Result<void> Backends::add_migration(std::string scheme, IndexMigration migration) {
  ARTCACHE_TRY(Entry * entry, claim(scheme));
  if (entry->migration)
    return Error{Errc::conflict, "backends: '" + scheme + "' has a migration already"};
  entry->migration = std::move(migration);
  return {};
}

Result<void> Backends::add_locks(std::string scheme, LocksFactory factory) {
  ARTCACHE_TRY(Entry * entry, claim(scheme));
  if (entry->locks) return Error{Errc::conflict, "backends: '" + scheme + "' has locks already"};
  entry->locks = std::move(factory);
  entry->left_out.clear();
  return {};
}

Result<void> Backends::add_left_out(std::string scheme, std::string reason) {
  ARTCACHE_TRY(Entry * entry, claim(scheme));
  if (entry->storage || entry->index || entry->locks)
    return Error{Errc::conflict, "backends: '" + scheme + "' is there and not left out"};
  entry->left_out = std::move(reason);
  return {};
}

Result<const Backends::Entry*> Backends::find(const Url& url) const {
  if (const auto found = entries_.find(url.scheme()); found != entries_.end())
    return &found->second;
  std::vector<std::string_view> names;
  std::string list;
  for (const auto& [name, entry] : entries_) {
    names.emplace_back(name);
    list.append(list.empty() ? "" : ", ").append(name);
  }
  std::string message = "backends: unknown scheme '" + url.scheme() + "'; ";
  if (const auto near = util::nearest(url.scheme(), names); !near.empty())
    message.append("did you mean '").append(near).append("'? Known: ");
  else
    message.append("known: ");
  message.append(list.empty() ? "none" : list);
  return Error{Errc::invalid_argument, std::move(message)};
}

Result<std::unique_ptr<StorageBackend>> Backends::open_storage(const Url& url, const Deps& deps,
                                                               const Call& call) const {
  ARTCACHE_TRY(const Entry* entry, find(url));
  if (entry->storage) return entry->storage(url, deps, call);
  return entry->refusal(url, "storage");
}

Result<std::unique_ptr<MetadataStore>> Backends::open_index(const Url& url, const Deps& deps,
                                                            const Call& call) const {
  ARTCACHE_TRY(const Entry* entry, find(url));
  if (entry->index) return entry->index(url, deps, call);
  return entry->refusal(url, "index");
}

Result<Migrated> Backends::migrate_index(const Url& url, const Deps& deps, const Call& call) const {
  ARTCACHE_TRY(const Entry* entry, find(url));
  if (entry->migration) return entry->migration(url, deps, call);
  if (!entry->index) return entry->refusal(url, "index");
  return Error{Errc::unsupported,
               "backends: an index at '" + url.scheme() + "' is made anew each time"};
}

Result<std::unique_ptr<LockManager>> Backends::open_locks(const Url& url, const Deps& deps,
                                                          const Call& call) const {
  ARTCACHE_TRY(std::shared_ptr<MetadataStore> index, open_index(url, deps, call));
  LockStore* store = index->locks();
  if (store == nullptr)
    return Error{Errc::unsupported, "backends: '" + url.scheme() + "' keeps no locks"};
  return locks::manage(std::shared_ptr<LockStore>(std::move(index), store), deps);
}

Result<std::unique_ptr<LockManager>> Backends::open_locks(const Url& url, LockStore& index,
                                                          const Deps& deps,
                                                          const Call& call) const {
  ARTCACHE_TRY(const Entry* entry, find(url));
  if (!entry->locks) return open_locks(url, deps, call);
  ARTCACHE_TRY(std::shared_ptr<LockStore> store, entry->locks(url, index, deps, call));
  return locks::manage(std::move(store), deps);
}

Error Backends::Entry::refusal(const Url& url, std::string_view what) const {
  return Error{Errc::unsupported, "backends: '" + url.scheme() + "' " +
                                      (left_out.empty() ? "is no " + std::string(what) : left_out)};
}

std::vector<Backends::Scheme> Backends::schemes() const {
  std::vector<Scheme> list;
  for (const auto& [name, entry] : entries_)
    list.push_back({name, static_cast<bool>(entry.storage), static_cast<bool>(entry.index),
                    static_cast<bool>(entry.locks), entry.left_out});
  return list;
}

}  // namespace artcache
