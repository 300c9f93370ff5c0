// SPDX-License-Identifier: Apache-2.0
// What tables.hpp promises, where the engines do it differently.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "roles/query/tables.hpp"

namespace artcache::query {

/// The held row of a key; null when there is none. `held` is in the order of keys.
const Held* held_of(std::span<const Held> held, std::string_view key);

namespace sqlite {
Result<std::vector<Held>> find_held(Session& session, std::string_view element,
                                    std::span<const std::string> keys);
Result<void> put_files(Session& session, const Owner& owner, std::span<const PreparedEntry> files,
                       std::span<const Held> held, Timestamp now);
Result<void> remove_files(Session& session, std::span<const Held> held);
}  // namespace sqlite

#if ARTCACHE_WITH_POSTGRES
namespace postgres {
Result<std::vector<Held>> find_held(Session& session, std::string_view element,
                                    std::span<const std::string> keys);
Result<void> put_files(Session& session, const Owner& owner, std::span<const PreparedEntry> files,
                       Timestamp now);
Result<void> remove_files(Session& session, std::string_view element,
                          std::span<const std::string> keys);
}  // namespace postgres
#endif

}  // namespace artcache::query
