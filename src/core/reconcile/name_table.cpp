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

std::span<const NameTable::Name> NameTable::conspicuous() {
  std::ranges::sort(names_, {}, &Name::hash);
  std::size_t kept = 0;
  const auto keep = [&](std::size_t i) {
    names_[kept++] = {names_[i].hash & ~kSidecar, names_[i].size};
  };
  for (std::size_t i = 0; i < names_.size();) {
    const std::uint64_t name = names_[i].hash & ~kSidecar;
    // A data file sorts in front of its sidecar.
    const bool pair =
        i + 1 < names_.size() && names_[i].hash == name && names_[i + 1].hash == (name | kSidecar);
    const std::uint64_t claimed = pair ? names_[i + 1].size : kUnknownSize;
    if (!pair || (claimed != kUnknownSize && claimed != names_[i].size)) keep(i);
    i += pair ? 2 : 1;
  }
  names_.resize(kept);
  return names_;
}

}  // namespace artcache::reconcile
