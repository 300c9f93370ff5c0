// SPDX-License-Identifier: Apache-2.0
// Settings that several roles have, under one name and one meaning.
#pragma once

#include <artcache/result.hpp>
#include <artcache/url.hpp>
#include <optional>
#include <string>
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
// The parts of that address, as the original has them.
inline constexpr config::Setting kDbHost{
    .name = "db_host",
    .variable = "DB_HOST",
    .meaning = "the PostgreSQL server, when there is no `database`"};
inline constexpr config::Setting kDbPort{.name = "db_port",
                                         .variable = "DB_PORT",
                                         .kind = config::Kind::number,
                                         .fallback = "5432",
                                         .meaning = "its port",
                                         .least = 1,
                                         .most = 65535};
inline constexpr config::Setting kDbUser{
    .name = "db_user", .variable = "DB_USERNAME", .meaning = "who logs in there"};
inline constexpr config::Setting kDbPassword{.name = "db_password",
                                             .variable = "DB_PASSWORD",
                                             .kind = config::Kind::secret,
                                             .meaning = "with this password"};
/// Whose database is called `fallback`.
constexpr config::Setting db_name(std::string_view fallback) {
  return {.name = "db_name",
          .variable = "DB_DATABASE",
          .fallback = fallback,
          .meaning = "the database there"};
}
inline constexpr config::Setting kAdmin{
    .name = "admin",
    .variable = "SERVICE_ACCOUNT_ADMIN_MODULE_URL",
    .also = "AUTH_ADMIN_MODULE_URL",
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
inline constexpr config::Setting kCa{
    .name = "ca",
    .meaning = "PEM file of the authorities of elements and admin; empty: the system's"};
inline constexpr config::Setting kPublicKey{
    .name = "public_key",
    .variable = "JWT_PUBLIC_KEY_PATH",
    .also = "AUTH_PUBLIC_KEY_PATH",
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
                                                .least = 1,
                                                .most = std::uint64_t{1} << 62};
inline constexpr config::Setting kRedis{
    .name = "redis",
    .variable = "REDIS_URL",
    .kind = config::Kind::address,
    .meaning = "redis://… where elements are found and events go; empty: nowhere"};
// The parts of that address, as the original has them.
inline constexpr config::Setting kRedisHost{
    .name = "redis_host",
    .variable = "REDIS_HOST",
    .meaning = "the Redis server, when there is no `redis`"};
inline constexpr config::Setting kRedisPort{.name = "redis_port",
                                            .variable = "REDIS_PORT",
                                            .kind = config::Kind::number,
                                            .fallback = "6379",
                                            .meaning = "its port",
                                            .least = 1,
                                            .most = 65535};
inline constexpr config::Setting kRedisDb{.name = "redis_db",
                                          .variable = "REDIS_DB",
                                          .kind = config::Kind::number,
                                          .fallback = "0",
                                          .meaning = "the number of its database"};
inline constexpr config::Setting kRedisPassword{.name = "redis_password",
                                                .variable = "REDIS_PASSWORD",
                                                .kind = config::Kind::secret,
                                                .meaning = "its password"};
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

/// What the setting `whole` says; else what the parts say, with `query` behind them; nothing when
/// neither is told. Errors: invalid_argument, naming the setting.
Result<std::optional<Url>> database_address(const config::Settings& told,
                                            std::string_view whole = "database",
                                            std::string_view query = {});
/// Likewise `redis` and its parts.
Result<std::optional<Url>> redis_address(const config::Settings& told);

/// What open_http_log() is told to reach the element at `url` and to trust its `ca`.
std::string log_address(const std::string& url, const std::string& ca);

/// The value of the setting `name` as an address. Errors: invalid_argument, naming it.
Result<std::optional<Url>> parsed_address(std::string_view name, const std::string& text);
/// `user:password@`, or nothing.
std::string login(const std::string& user, const std::string& password);

}  // namespace artcache::shared_settings
