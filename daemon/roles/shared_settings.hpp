// SPDX-License-Identifier: Apache-2.0
// Settings that several roles have, under one name and one meaning.
#pragma once

#include <string_view>

#include "config/settings.hpp"

namespace artcache::shared_settings {

/// The same setting where a role has more to say about it.
constexpr config::Setting meaning(config::Setting setting, std::string_view text) {
  setting.meaning = text;
  return setting;
}

inline constexpr config::Setting kDatabase{
    .name = "database",
    .variable = "DATABASE_URL",
    .kind = config::Kind::address,
    .meaning = "sqlite:///file or postgresql://…; empty: a file in the data folder"};
inline constexpr config::Setting kAdmin{
    .name = "admin",
    .variable = "SERVICE_ACCOUNT_ADMIN_MODULE_URL",
    .kind = config::Kind::address,
    .meaning =
        "http://host:8000 of the admin, which gives tokens and knows elements; empty: the "
        "one in this process"};
inline constexpr config::Setting kClientId{
    .name = "client_id",
    .variable = "SERVICE_ACCOUNT_CLIENT_ID",
    .meaning = "of the service account with which elements are asked"};
inline constexpr config::Setting kClientSecret{.name = "client_secret",
                                               .variable = "SERVICE_ACCOUNT_CLIENT_SECRET",
                                               .kind = config::Kind::secret,
                                               .meaning = "its secret"};
inline constexpr config::Setting kPublicKey{
    .name = "public_key",
    .variable = "JWT_PUBLIC_KEY_PATH",
    .meaning = "PEM file, or folder of them, of the keys that sign tokens"};
inline constexpr config::Setting kRateLimit{.name = "rate_limit",
                                            .variable = "RATE_LIMIT_ENABLED",
                                            .kind = config::Kind::flag,
                                            .fallback = "false",
                                            .meaning = "whether the limit of an account counts"};
inline constexpr config::Setting kUploadMaxSize{.name = "upload_max_size",
                                                .kind = config::Kind::number,
                                                .fallback = "1099511627776",
                                                .meaning = "bytes that one file may have",
                                                .least = 1};
inline constexpr config::Setting kRedis{
    .name = "redis",
    .variable = "REDIS_URL",
    .kind = config::Kind::address,
    .meaning = "redis://… where elements are found and events go; empty: nowhere"};
inline constexpr config::Setting kEventsCreated{.name = "events_created",
                                                .variable = "EVENT_CHANNEL_FILE_CREATED",
                                                .fallback = "file:created",
                                                .meaning = "the channel of new files; empty: none"};
inline constexpr config::Setting kEventsUpdated{
    .name = "events_updated",
    .variable = "EVENT_CHANNEL_FILE_UPDATED",
    .fallback = "file:updated",
    .meaning = "the channel of changed files; empty: none"};
inline constexpr config::Setting kEventsDeleted{
    .name = "events_deleted",
    .variable = "EVENT_CHANNEL_FILE_DELETED",
    .fallback = "file:deleted",
    .meaning = "the channel of removed files; empty: none"};

}  // namespace artcache::shared_settings
