// SPDX-License-Identifier: Apache-2.0
#include "config/original.hpp"

namespace artcache::config {
namespace {

struct Row {
  std::string_view name;  ///< with `*` at its end: all that begin so
  std::string_view instead;
};

constexpr std::string_view kAlways = "the path is always the same",
                           kNoPool = "pools have a size of their own";

constexpr Row kRows[] = {
    {"APP_DEBUG", "LOG_LEVEL=debug says more"},
    {"APP_SWAGGER_ENABLED", "/openapi.json is always there"},
    {"APP_VERSION", "artcached tells its own version"},
    {"CAPACITY_MONITOR_*", "`poll_interval` says how often elements are asked"},
    {"COMPRESSION_*", "files are stored as they come"},
    {"CORS_*", "CORS_ALLOW_ORIGINS alone says which pages may call"},
    {"DB_MAX_OVERFLOW", kNoPool},
    {"DB_POOL_SIZE", kNoPool},
    {"DB_SSL_ENABLED", "?sslmode=… of a whole postgresql:// address says it"},
    {"EVENT_STREAM_RETENTION_HOURS", "EVENT_STREAM_MAXLEN of the elements says how much is kept"},
    {"HEALTH_LIVENESS_PATH", kAlways},
    {"HEALTH_READINESS_PATH", kAlways},
    {"JWT_ALGORITHM", "it is RS256 and nothing else"},
    {"METRICS_ENABLED", "/metrics is always there"},
    {"METRICS_PATH", kAlways},
    {"PASSWORD_*", "the rules for passwords are fixed"},
    {"REDIS_POOL_SIZE", kNoPool},
    {"REDIS_SOCKET_TIMEOUT", "each use of Redis has a limit of its own"},
    {"SAGA_*", "an upload is one transaction of its element"},
    {"SCHEDULER_*", "the SCHEDULE_… of the elements say what runs by itself"},
    {"SECURITY_AUDIT_HMAC_SECRET", "the audit trail is not signed"},
    {"SERVICE_ACCOUNT_TIMEOUT", "a request for a token has a limit of its own"},
    {"SERVICE_DISCOVERY_*", "REDIS_URL says where elements are found"},
    {"STORAGE_ELEMENT_*", "elements are found by the admin, by REDIS_URL or by `elements`"},
    {"STORAGE_MAX_SIZE_GB", "STORAGE_MAX_SIZE says it in bytes"},
    {"STORAGE_S3_SOFT_CAPACITY_LIMIT", "STORAGE_MAX_SIZE says it in bytes"},
};

bool matches(const Row& row, std::string_view variable) {
  if (!row.name.ends_with('*')) return variable == row.name;
  return variable.starts_with(row.name.substr(0, row.name.size() - 1));
}

}  // namespace

std::string_view original_only(std::string_view variable) {
  for (const Row& row : kRows)
    if (matches(row, variable)) return row.instead;
  return {};
}

}  // namespace artcache::config
