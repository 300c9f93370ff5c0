// SPDX-License-Identifier: Apache-2.0
#include "core/files/unsettled.hpp"

#include <unordered_set>

namespace artcache::files {

void Unsettled::add(const FileId& id, Why why) {
  const util::MutexLock held(mutex_);
  const Known known{why, ++added_};
  if (why == Why::others)
    known_.try_emplace(id, known);
  else
    known_.insert_or_assign(id, known);
}

void Unsettled::erase(const FileId& id) {
  const util::MutexLock held(mutex_);
  known_.erase(id);
}

bool Unsettled::is(const FileId& id, Why why) const {
  const util::MutexLock held(mutex_);
  const auto found = known_.find(id);
  return found != known_.end() && found->second.why == why;
}

std::size_t Unsettled::count() const {
  const util::MutexLock held(mutex_);
  return known_.size();
}

std::uint64_t Unsettled::mark() const {
  const util::MutexLock held(mutex_);
  return added_;
}

void Unsettled::forget_ended(std::uint64_t mark, std::span<const Intent> there) {
  std::unordered_set<FileId> open;
  for (const Intent& intent : there) open.insert(intent.id);
  const util::MutexLock held(mutex_);
  std::erase_if(known_, [&](const auto& known) {
    return known.second.added <= mark && !open.contains(known.first);
  });
}

}  // namespace artcache::files
