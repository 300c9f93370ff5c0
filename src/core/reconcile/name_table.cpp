// SPDX-License-Identifier: Apache-2.0
#include "core/reconcile/name_table.hpp"

#include <algorithm>

namespace artcache::reconcile {

void NameTable::begin(std::uint32_t part) {
  part_ = part;
  names_.clear();
}

void NameTable::insert(std::uint64_t hash, std::uint64_t size) {
  if (!holds(hash)) return;
  names_.push_back({hash, size});
  if (names_.size() <= most_ || part_ != 0) return;
  parts_ *= 2;
  std::erase_if(names_, [this](const Name& name) { return !holds(name.hash); });
}

std::unordered_set<std::uint64_t> NameTable::conspicuous() {
  std::ranges::sort(names_, {}, &Name::hash);
  std::unordered_set<std::uint64_t> found;
  for (std::size_t i = 0; i < names_.size();) {
    const std::uint64_t name = names_[i].hash & ~kSidecar;
    // A data file sorts in front of its sidecar.
    const bool pair =
        i + 1 < names_.size() && names_[i].hash == name && names_[i + 1].hash == (name | kSidecar);
    if (!pair) {
      found.insert(name);
      ++i;
      continue;
    }
    const std::uint64_t claimed = names_[i + 1].size;
    if (claimed != kUnknownSize && claimed != names_[i].size) found.insert(name);
    i += 2;
  }
  return found;
}

}  // namespace artcache::reconcile
