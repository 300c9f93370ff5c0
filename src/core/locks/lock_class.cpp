// SPDX-License-Identifier: Apache-2.0
#include <artcache/lock_manager.hpp>

namespace artcache {
namespace {

struct ClassRow {
  LockClass lock_class;
  std::string_view name;
  std::chrono::seconds ttl;
};

constexpr ClassRow kRows[] = {
    {LockClass::manual_rebuild, "manual_rebuild", std::chrono::seconds(1800)},
    {LockClass::manual_check, "manual_check", std::chrono::seconds(600)},
    {LockClass::lazy_rebuild, "lazy_rebuild", std::chrono::seconds(30)},
    {LockClass::background_cleanup, "background_cleanup", std::chrono::seconds(300)},
};

const ClassRow& row_of(LockClass lock_class) {
  for (const ClassRow& row : kRows)
    if (row.lock_class == lock_class) return row;
  return kRows[0];
}

}  // namespace

std::string_view to_string(LockClass lock_class) { return row_of(lock_class).name; }

std::optional<LockClass> parse_lock_class(std::string_view name) {
  for (const ClassRow& row : kRows)
    if (row.name == name) return row.lock_class;
  return std::nullopt;
}

std::chrono::milliseconds default_ttl(LockClass lock_class) { return row_of(lock_class).ttl; }

}  // namespace artcache
