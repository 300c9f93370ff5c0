// SPDX-License-Identifier: Apache-2.0
#include "roles/element/settings.hpp"

#include <array>
#include <string>

#include "common/percent.hpp"
#include "roles/shared_settings.hpp"
#include "util/try.hpp"

namespace artcache::element {
namespace {

using config::Kind;
using config::Setting;

/// As an index takes it.
constexpr std::int64_t kChangesMost = 1'000'000'000;

using shared_settings::login;
using shared_settings::parsed_address;

constexpr std::array kSettings{
    Setting{.name = "storage",
            .kind = Kind::address,
            .meaning = "file:///folder or s3://bucket/folder; empty: a folder in the data folder"},
    Setting{.name = "index",
            .kind = Kind::address,
            .meaning = "sqlite:///file or postgresql://…; empty: a file in the data folder"},
    Setting{.name = "locks",
            .kind = Kind::address,
            .meaning = "where the locks are kept; empty: in the index"},
    Setting{.name = "element_id",
            .variable = "STORAGE_ELEMENT_ID",
            .meaning = "empty: the name of the instance"},
    Setting{.name = "name",
            .variable = "APP_NAME",
            .fallback = "storage-element",
            .meaning = "what the element calls itself"},
    Setting{.name = "display_name",
            .variable = "APP_DISPLAY_NAME",
            .fallback = "Storage Element",
            .meaning = "the same for people"},
    Setting{.name = "mode",
            .variable = "APP_MODE",
            .fallback = "edit",
            .meaning = "edit, rw, ro or ar; a transition holds until this changes"},
    Setting{.name = "max_size",
            .variable = "STORAGE_MAX_SIZE",
            .kind = Kind::number,
            .fallback = "0",
            .meaning = "bytes that all files together may take; 0: what the storage has"},
    shared_settings::kUploadMaxSize,
    Setting{.name = "priority",
            .variable = "STORAGE_PRIORITY",
            .also = "PRIORITY",
            .kind = Kind::number,
            .fallback = "100",
            .meaning = "the lowest is filled first"},
    Setting{.name = "ttl_hours",
            .kind = Kind::number,
            .fallback = "0",
            .meaning = "how long entries are fresh; 0: 24 in edit and rw, 168 in ro and ar",
            .most = 24 * 3650},
    Setting{.name = "location",
            .variable = "STORAGE_DATACENTER_LOCATION",
            .meaning = "the data centre"},
    shared_settings::kPublicKey,
    shared_settings::kRateLimit,
    Setting{.name = "run_limit",
            .kind = Kind::duration,
            .fallback = "0",
            .meaning = "how long a rebuild, check or cleanup may take; 0: no limit"},
    Setting{.name = "run_files_per_second",
            .kind = Kind::number,
            .fallback = "0",
            .meaning = "how many files runs and refreshes may open; 0: all there are"},
    Setting{.name = "run_bytes_per_second",
            .kind = Kind::number,
            .fallback = "0",
            .meaning = "how many bytes runs and refreshes may read; 0: all there are"},
    Setting{.name = "snapshot_limit",
            .kind = Kind::duration,
            .fallback = "1h",
            .meaning = "how long a follower may read a snapshot of the log; 0: no limit"},
    Setting{.name = "rebuild_on_startup",
            .variable = "APP_REBUILD_CACHE_ON_STARTUP",
            .kind = Kind::flag,
            .fallback = "true",
            .meaning = "whether an index that may be wrong, as a new one is, is rebuilt at once"},
    Setting{.name = "details_most",
            .kind = Kind::number,
            .fallback = "1000",
            .meaning = "findings of each kind, and messages, in a report",
            .most = 100'000},
    Setting{.name = "storage_type",
            .variable = "STORAGE_TYPE",
            .meaning = "local or s3, when there is no `storage`; empty: local"},
    Setting{.name = "storage_path",
            .variable = "STORAGE_LOCAL_BASE_PATH",
            .meaning = "local: the folder; empty: one in the data folder"},
    Setting{.name = "s3_endpoint",
            .variable = "STORAGE_S3_ENDPOINT_URL",
            .meaning = "s3: where it is; empty: as AWS_ENDPOINT_URL says"},
    Setting{.name = "s3_access_key",
            .variable = "STORAGE_S3_ACCESS_KEY_ID",
            .kind = Kind::secret,
            .meaning = "s3: empty: as AWS_ACCESS_KEY_ID says"},
    Setting{.name = "s3_secret_key",
            .variable = "STORAGE_S3_SECRET_ACCESS_KEY",
            .kind = Kind::secret,
            .meaning = "s3: belongs to the access key"},
    Setting{.name = "s3_bucket",
            .variable = "STORAGE_S3_BUCKET_NAME",
            .fallback = "artstore-files",
            .meaning = "s3: the bucket"},
    Setting{.name = "s3_region",
            .variable = "STORAGE_S3_REGION",
            .meaning = "s3: empty: as AWS_REGION says"},
    Setting{.name = "s3_folder",
            .variable = "STORAGE_S3_APP_FOLDER",
            .meaning = "s3: the folder of this element in the bucket"},
    shared_settings::meaning(shared_settings::kDbHost,
                             "the PostgreSQL server of the index, when there is no `index`"),
    shared_settings::kDbPort,
    shared_settings::kDbUser,
    shared_settings::kDbPassword,
    shared_settings::db_name("artstore"),
    Setting{.name = "db_prefix",
            .variable = "DB_TABLE_PREFIX",
            .meaning = "first part of the names of its tables, one for each element"},
    shared_settings::kRedis,
    shared_settings::kRedisHost,
    shared_settings::kRedisPort,
    shared_settings::kRedisDb,
    shared_settings::kRedisPassword,
    shared_settings::meaning(
        shared_settings::kAdmin,
        "http://host:8000 of the admin that it registers at; empty: that of this process"),
    shared_settings::meaning(shared_settings::kClientId,
                             "of the account with which it registers; empty: it does not"),
    shared_settings::kClientSecret,
    shared_settings::meaning(shared_settings::kCa,
                             "PEM file of the authorities of the admin; empty: the system's"),
    Setting{.name = "endpoint",
            .variable = "STORAGE_EXTERNAL_ENDPOINT",
            .meaning = "http://host:port at which others reach it; empty: where it listens"},
    Setting{.name = "report_interval",
            .variable = "HEALTH_REPORT_INTERVAL",
            .kind = Kind::duration,
            .fallback = "30s",
            .meaning = "how often it is announced, and its gauges are renewed",
            .least = 100},
    Setting{.name = "report_life",
            .variable = "HEALTH_REPORT_TTL_MULTIPLIER",
            .kind = Kind::number,
            .fallback = "3",
            .meaning = "so many of these intervals it is remembered without a word",
            .least = 2,
            .most = 1000},
    Setting{.name = "events",
            .variable = "EVENT_PUBLISH_ENABLED",
            .kind = Kind::flag,
            .fallback = "true",
            .meaning = "whether changes are published in Redis, where there is one"},
    shared_settings::kEventsCreated,
    shared_settings::kEventsUpdated,
    shared_settings::kEventsDeleted,
    Setting{.name = "events_timeout",
            .variable = "EVENT_PUBLISH_TIMEOUT",
            .kind = Kind::duration,
            .fallback = "5s",
            .meaning = "how long a batch of events may take before it is tried again",
            .least = 100},
    Setting{.name = "events_stream",
            .variable = "EVENT_STREAM_NAME",
            .fallback = "file-events",
            .meaning = "the Redis stream that keeps events; empty: none"},
    Setting{.name = "events_stream_most",
            .variable = "EVENT_STREAM_MAXLEN",
            .kind = Kind::number,
            .fallback = "100000",
            .meaning = "how many changes the index's log, and about how many events it, keeps",
            .least = 1,
            .most = kChangesMost},
    Setting{.name = "incremental_every",
            .variable = "SCHEDULE_INCREMENTAL_EVERY",
            .kind = Kind::duration,
            .fallback = "0",
            .meaning = "how often an incremental rebuild runs by itself; 0: never"},
    Setting{.name = "incremental_at",
            .variable = "SCHEDULE_INCREMENTAL_AT",
            .meaning = "or when each day, in UTC, such as 02:30"},
    Setting{.name = "check_every",
            .variable = "SCHEDULE_CHECK_EVERY",
            .kind = Kind::duration,
            .fallback = "0",
            .meaning = "how often a consistency check runs by itself; 0: never"},
    Setting{.name = "check_at",
            .variable = "SCHEDULE_CHECK_AT",
            .meaning = "or when each day, in UTC, such as 02:30"},
    Setting{.name = "cleanup_every",
            .variable = "SCHEDULE_CLEANUP_EVERY",
            .kind = Kind::duration,
            .fallback = "0",
            .meaning = "how often a cleanup of expired entries runs by itself; 0: never"},
    Setting{.name = "cleanup_at",
            .variable = "SCHEDULE_CLEANUP_AT",
            .meaning = "or when each day, in UTC, such as 02:30"},
    Setting{.name = "schedule_jitter",
            .variable = "SCHEDULE_JITTER",
            .kind = Kind::duration,
            .fallback = "0",
            .meaning = "what runs by itself begins up to so much later, by chance"},
};

/// Parameters of an address, those that are said.
class Query {
 public:
  void add(std::string_view name, const std::string& value) {
    if (value.empty()) return;
    text_.append(text_.empty() ? "?" : "&").append(name).append("=").append(percent_encoded(value));
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace

std::span<const Setting> settings_table() { return kSettings; }

Result<std::optional<Url>> storage_address(const config::Settings& told) {
  if (const std::string& whole = told.text("storage"); !whole.empty())
    return parsed_address("storage", whole);
  const std::string& type = told.text("storage_type");
  if (type == "s3") {
    const std::string &access = told.text("s3_access_key"), &secret = told.text("s3_secret_key");
    if (access.empty() != secret.empty())
      return Error{Errc::invalid_argument,
                   "s3_access_key and s3_secret_key: one is there without the other"};
    Query query;
    query.add("endpoint", told.text("s3_endpoint"));
    query.add("region", told.text("s3_region"));
    return parsed_address("s3_bucket", "s3://" + login(access, secret) + told.text("s3_bucket") +
                                           "/" + told.text("s3_folder") + query.text());
  }
  if (!type.empty() && type != "local")
    return Error{Errc::invalid_argument, "storage_type: '" + type + "' is neither local nor s3"};
  if (told.text("storage_path").empty()) return std::optional<Url>();
  return parsed_address("storage_path",
                        "file://" + percent_encoded(told.text("storage_path"), "/"));
}

Result<std::optional<Url>> index_address(const config::Settings& told) {
  Query query;
  query.add("prefix", told.text("db_prefix"));
  return shared_settings::database_address(told, "index", query.text());
}

Result<std::uint64_t> changes_kept(const config::Settings& told) {
  const auto said = static_cast<std::int64_t>(told.number("events_stream_most"));
  ARTCACHE_TRY(const auto index, index_address(told));
  if (!index) return static_cast<std::uint64_t>(said);
  ARTCACHE_TRY(const std::int64_t rows, index->integer("log_rows", said, 1, kChangesMost));
  return static_cast<std::uint64_t>(rows);
}

Result<Url> with_changes_kept(const Url& index, const config::Settings& told) {
  if (index.parameter("log_rows")) return index;
  ARTCACHE_TRY(const std::uint64_t kept, changes_kept(told));
  const std::string whole = index.reveal();
  const char join = whole.find('?') == std::string::npos ? '?' : '&';
  return Url::parse(whole + join + "log_rows=" + std::to_string(kept));
}

}  // namespace artcache::element
