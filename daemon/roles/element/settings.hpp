// SPDX-License-Identifier: Apache-2.0
// What an element can be told, under the names that operators of the original know.
#pragma once

#include <artcache/result.hpp>
#include <artcache/url.hpp>
#include <optional>
#include <span>

#include "config/settings.hpp"

namespace artcache::element {

std::span<const config::Setting> settings_table();

/// Each in one piece, or put together from the parts that the original knows (STORAGE_S3_…, DB_…,
/// REDIS_…); nothing when neither is said. Errors: invalid_argument, naming the setting.
Result<std::optional<Url>> storage_address(const config::Settings& told);
Result<std::optional<Url>> index_address(const config::Settings& told);
Result<std::optional<Url>> redis_address(const config::Settings& told);

}  // namespace artcache::element
