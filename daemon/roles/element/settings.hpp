// SPDX-License-Identifier: Apache-2.0
// What an element can be told, under the names that operators of the original know.
#pragma once

#include <artcache/result.hpp>
#include <artcache/url.hpp>
#include <cstdint>
#include <optional>
#include <span>

#include "config/settings.hpp"

namespace artcache::element {

std::span<const config::Setting> settings_table();

/// Each in one piece, or put together from the parts that the original knows (STORAGE_S3_…,
/// DB_…); nothing when neither is said. Errors: invalid_argument, naming the setting.
Result<std::optional<Url>> storage_address(const config::Settings& told);
Result<std::optional<Url>> index_address(const config::Settings& told);

/// How many changes those may be behind who follow: rows of the index's log, and events in the
/// stream. `log_rows` of the index's address counts more than the setting.
Result<std::uint64_t> changes_kept(const config::Settings& told);
/// The address of the index with that many as its `log_rows`.
Result<Url> with_changes_kept(const Url& index, const config::Settings& told);

}  // namespace artcache::element
