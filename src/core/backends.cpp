// SPDX-License-Identifier: Apache-2.0
#include <artcache/backends.hpp>

#include <artcache/storage_backend.hpp>

#include "util/suggest.hpp"
#include "util/try.hpp"

namespace artcache {

Result<Backends::Entry*> Backends::claim(std::string& scheme) {
  ARTCACHE_TRY(const Url url, Url::parse(scheme + ":"));
  scheme = url.scheme();
  return &entries_[scheme];
}

Result<void> Backends::add_storage(std::string scheme, StorageFactory factory) {
  ARTCACHE_TRY(Entry * entry, claim(scheme));
  if (entry->storage)
    return Error{Errc::conflict, "backends: '" + scheme + "' has a storage already"};
  entry->storage = std::move(factory);
  return {};
}

Result<void> Backends::add_left_out(std::string scheme, std::string reason) {
  ARTCACHE_TRY(Entry * entry, claim(scheme));
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
  std::string message = "backends: unknown scheme '" + url.scheme() + "'";
  if (const auto near = util::nearest(url.scheme(), names); !near.empty())
    message.append("; did you mean '").append(near).append("'?");
  return Error{Errc::invalid_argument, message + " Known: " + list};
}

Result<std::unique_ptr<StorageBackend>> Backends::open_storage(const Url& url, const Deps& deps,
                                                               const Call& call) const {
  ARTCACHE_TRY(const Entry* entry, find(url));
  if (entry->storage) return entry->storage(url, deps, call);
  if (!entry->left_out.empty())
    return Error{Errc::unsupported, "backends: '" + url.scheme() + "' " + entry->left_out};
  return Error{Errc::unsupported, "backends: '" + url.scheme() + "' is no storage"};
}

std::vector<Backends::Scheme> Backends::schemes() const {
  std::vector<Scheme> list;
  for (const auto& [name, entry] : entries_)
    list.push_back({name, static_cast<bool>(entry.storage), entry.left_out});
  return list;
}

}  // namespace artcache
