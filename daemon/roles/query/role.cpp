// SPDX-License-Identifier: Apache-2.0
// What the query role can be told, under the names that operators of the original know.
#include "roles/role.hpp"

#include <algorithm>
#include <array>
#include <artcache/http_log.hpp>
#include <thread>
#include <utility>

#include "common/answering.hpp"
#include "common/service_token.hpp"
#include "roles/query/naming.hpp"
#include "roles/query/query.hpp"
#include "roles/query/redis_ear.hpp"
#include "roles/query/schema.hpp"
#include "roles/shared_settings.hpp"
#include "roles/trust.hpp"
#include "util/try.hpp"

namespace artcache {
namespace {

using config::Kind;
using config::Setting;

constexpr std::array kSettings{
    shared_settings::kDatabase,
    shared_settings::kDbHost,
    shared_settings::kDbPort,
    shared_settings::kDbUser,
    shared_settings::kDbPassword,
    shared_settings::db_name("artstore_query"),
    Setting{.name = "elements",
            .meaning = "se-01=http://host:8010,se-02=…; an id alone is an element of this process"},
    shared_settings::kAdmin,
    shared_settings::kClientId,
    shared_settings::kClientSecret,
    Setting{.name = "registry",
            .kind = Kind::flag,
            .fallback = "true",
            .meaning = "whether the admin is asked which elements there are"},
    Setting{.name = "registry_interval",
            .kind = Kind::duration,
            .fallback = "30s",
            .meaning = "how often",
            .least = 1000},
    shared_settings::meaning(shared_settings::kRedis,
                             "redis://… where elements are found and events are heard; empty: "
                             "nowhere"),
    shared_settings::kRedisHost,
    shared_settings::kRedisPort,
    shared_settings::kRedisDb,
    shared_settings::kRedisPassword,
    Setting{.name = "events",
            .variable = "EVENT_SUBSCRIBE_ENABLED",
            .kind = Kind::flag,
            .fallback = "true",
            .meaning = "whether events in Redis tell when to ask an element; else it is the long "
                       "poll alone"},
    shared_settings::kEventsCreated,
    shared_settings::kEventsUpdated,
    shared_settings::kEventsDeleted,
    Setting{.name = "events_pause",
            .variable = "EVENT_RECONNECT_DELAY",
            .kind = Kind::duration,
            .fallback = "1s",
            .meaning = "between two tries to connect to Redis",
            .least = 10},
    Setting{.name = "events_tries",
            .variable = "EVENT_MAX_RECONNECT_ATTEMPTS",
            .kind = Kind::number,
            .fallback = "10",
            .meaning = "after so many in vain it is tried once a minute, and the log tells of it",
            .least = 1},
    shared_settings::kPublicKey,
    shared_settings::kRateLimit,
    Setting{.name = "batch",
            .variable = "CACHE_SYNC_BATCH_SIZE",
            .kind = Kind::number,
            .fallback = "1000",
            .meaning = "changes applied in one transaction",
            .least = 1,
            .most = 10'000},
    Setting{.name = "retry_delay",
            .variable = "CACHE_SYNC_RETRY_DELAY",
            .kind = Kind::duration,
            .fallback = "100ms",
            .meaning = "before the first try after an error; doubles with each further one",
            .least = 10},
    Setting{.name = "retry_attempts",
            .variable = "CACHE_SYNC_RETRY_ATTEMPTS",
            .kind = Kind::number,
            .fallback = "10",
            .meaning = "how often it doubles; then it stays so, and trying never ends",
            .most = 30},
    Setting{.name = "retry_delay_most",
            .kind = Kind::duration,
            .fallback = "30s",
            .meaning = "to which it grows at most"},
    Setting{.name = "audit_interval",
            .kind = Kind::duration,
            .fallback = "1h",
            .meaning = "how often the tables are compared with the elements",
            .least = 1000},
    Setting{.name = "bound_timeout",
            .kind = Kind::duration,
            .fallback = "1s",
            .meaning = "how long a read waits until its min_position or max_staleness is kept"},
    Setting{.name = "search_timeout",
            .variable = "SEARCH_TIMEOUT",
            .kind = Kind::duration,
            .fallback = "30s",
            .meaning = "how long a search may take",
            .least = 100},
    Setting{.name = "download_timeout",
            .variable = "DOWNLOAD_TIMEOUT",
            .kind = Kind::duration,
            .fallback = "30s",
            .meaning = "how long an element may take to begin to answer",
            .least = 100},
    shared_settings::kCa,
};

constexpr replica::Names kNames{.logger = "query_sync", .metrics = "artstore_query_"};

FollowSettings follow_settings(const config::Settings& told) {
  const auto least = told.duration("retry_delay");
  const auto doubled = least * (std::int64_t{1} << told.number("retry_attempts"));
  return {.batch = static_cast<std::uint32_t>(told.number("batch")),
          .pause_least = least,
          .pause_most = std::max(least, std::min(doubled, told.duration("retry_delay_most"))),
          .audit_interval = told.duration("audit_interval")};
}

query::EarSettings ear_settings(const config::Settings& told) {
  query::EarSettings out{
      .channels = {}, .pause = told.duration("events_pause"), .tries = told.number("events_tries")};
  if (!told.flag("events")) return out;
  for (const char* name : {"events_created", "events_updated", "events_deleted"})
    if (!told.text(name).empty()) out.channels.push_back(told.text(name));
  return out;
}

auth::Wording wording() {
  return {.missing = "Authorization header missing",
          .wrong_scheme = "Invalid authorization header format",
          .invalid = "Invalid token",
          .expired = "Token expired"};
}

class QueryRole final : public Role {
 public:
  QueryRole(const RoleContext& context, std::unique_ptr<query::Database> database,
            std::vector<query::Owner> named)
      : deps_(context.deps),
        told_(*context.settings),
        addresses_(context.addresses),
        trust_(told_, deps_, wording()),
        site_(context.instance),
        http_({.ca = told_.text("ca")}, *deps_.clock),
        token_({.admin = [this] { return admin(); },
                .client_id = told_.text("client_id"),
                .secret = told_.text("client_secret"),
                .site = context.instance},
               http_, deps_),
        named_(std::move(named)) {
    parts_.deps = deps_;
    parts_.database = std::move(database);
    parts_.gate = &trust_.gate();
    parts_.http = &http_;
    parts_.token = [this](const Call& call) { return token_.get(call); };
    parts_.reject_token = [this](std::string_view token) { token_.reject(token); };
    parts_.search_most = told_.duration("search_timeout");
    parts_.bound_most = told_.duration("bound_timeout");
    parts_.answer_most = told_.duration("download_timeout");
    parts_.fleet = std::make_unique<replica::Fleet>(
        replica::Replica{parts_.database.get(), &query::replica_tables(), kNames},
        [this](const query::Owner& element) { return open_log(element); }, follow_settings(told_),
        deps_);
  }
  ~QueryRole() override { stop(); }
  QueryRole(const QueryRole&) = delete;
  QueryRole& operator=(const QueryRole&) = delete;

  Result<void> open() {
    ARTCACHE_TRY(const auto redis, shared_settings::redis_address(told_));
    if (redis) {
      ARTCACHE_TRY(ear_, query::make_redis_ear(*redis, ear_settings(told_), tells(), deps_));
    }
    ARTCACHE_CHECK(query::add_search_routes(site_, parts_));
    ARTCACHE_CHECK(query::add_download_routes(site_, parts_));
    return query::add_sync_routes(site_, parts_);
  }

  http::Site& site() override { return site_; }
  Result<void> start() override {
    trust_.start();
    if (ear_) ear_->start();
    finder_ = std::jthread([this](std::stop_token stop) { find_elements(stop); });
    return {};
  }
  void leave() override { stop(); }
  void stop() override {
    if (ear_) ear_->stop();
    if (finder_.joinable()) {
      finder_.request_stop();
      {
        const util::MutexLock lock(mutex_);
        wake_.notify_all();
      }
      finder_.join();
    }
    parts_.fleet->stop();
  }
  Result<void> reload() override { return trust_.reload(); }

  std::vector<HealthPart> health(const Call& call) override {
    const auto found = parts_.database->read(
        call, [](query::Session& session) { return query::standings().find(session, ""); });
    std::vector<HealthPart> parts{
        {.name = "database",
         .state = found ? "ok" : std::string(to_string(found.error().code)),
         .works = found.has_value()},
        trust_.health()};
    // Without it changes arrive all the same.
    if (ear_) parts.push_back({.name = "redis", .state = ear_->state()});
    // What was known counts while the admin is away.
    if (std::string state = admin_answers_.state(); !state.empty())
      parts.push_back({.name = "admin", .state = std::move(state)});
    // An element that is away makes search older, not useless.
    const auto all = parts_.fleet->all();
    if (all.empty()) parts.push_back({.name = "storage_elements", .state = "none is known"});
    for (const auto& one : all)
      parts.push_back({.name = one->element().element,
                       .state = std::string(to_string(one->status().follow.state))});
    return parts;
  }

 private:
  [[nodiscard]] std::string admin() const {
    std::string told = told_.text("admin");
    while (told.ends_with('/')) told.pop_back();
    return told.empty() ? addresses_("admin") : told;
  }

  Result<std::unique_ptr<LogSource>> open_log(const query::Owner& element) {
    HttpLogSettings settings{.url = shared_settings::log_address(element.url, told_.text("ca"))};
    settings.token = parts_.token;
    settings.reject = parts_.reject_token;
    return open_http_log(settings, deps_);
  }

  query::EarTells tells() {
    return {.change =
                [this](const query::Heard& heard) {
                  if (const auto one = parts_.fleet->find(heard.element))
                    one->hear(heard.epoch, heard.seq);
                },
            .elements =
                [this](std::vector<query::Owner> elements) {
                  const util::MutexLock lock(mutex_);
                  heard_ = std::move(elements);
                  heard_more_ = true;
                  wake_.notify_all();
                },
            .connected = [this] { parts_.fleet->wake(); }};
  }

  /// Those of the settings, those that Redis names, and those that the admin knows.
  void find_elements(const std::stop_token& stop) {
    Call call;
    call.stop = stop;
    while (!stop.stop_requested()) {
      // Before the admin is asked, who may be slow to answer.
      parts_.fleet->update(elements());
      if (told_.flag("registry") && ask_admin(call)) parts_.fleet->update(elements());
      parts_.fleet->measure();
      const util::MutexLock lock(mutex_);
      // The gauges are renewed more often than the admin is asked.
      if (!stop.stop_requested() && !heard_more_) wake_.wait_for(mutex_, kPause);
    }
  }

  /// All that are named, once each: who stands first in this order says where it is.
  std::vector<query::Owner> elements() {
    std::vector<query::Owner> all;
    for (query::Owner one : named_) {
      if (one.url.empty()) one.url = addresses_(one.element);
      if (!one.url.empty()) all.push_back(std::move(one));
    }
    const auto add = [&](const std::vector<query::Owner>& more) {
      for (const query::Owner& one : more)
        if (std::ranges::find(all, one.element, &query::Owner::element) == all.end())
          all.push_back(one);
    };
    {
      const util::MutexLock lock(mutex_);
      heard_more_ = false;
      add(heard_);
    }
    add(listed_);
    return all;
  }

  /// Whether it was time to, and it answered. While it does not, what it said last holds.
  bool ask_admin(const Call& call) {
    const auto now = deps_.clock->steady();
    const std::string address = admin();
    if (now < ask_at_ || address.empty()) return false;
    auto listed = query::ask_registry(http_, address, parts_.token, parts_.reject_token,
                                      call.within(std::chrono::seconds(10), *deps_.clock));
    if (!call.stop.stop_requested())
      admin_answers_.note(listed ? Result<void>() : Result<void>(listed.error()));
    if (!listed) return false;
    listed_ = *std::move(listed);
    ask_at_ = now + told_.duration("registry_interval");
    return true;
  }

  static constexpr std::chrono::seconds kPause{1};

  const Deps deps_;
  const config::Settings& told_;
  const Addresses addresses_;
  Trust trust_;
  http::Site site_;
  web::HttpClient http_;
  ServiceToken token_;
  Answering admin_answers_{"admin", "query", deps_};
  const std::vector<query::Owner> named_;
  std::vector<query::Owner> listed_;  // by the admin; of the thread that looks for elements
  Clock::SteadyTime ask_at_;
  query::Parts parts_;
  util::Mutex mutex_;
  util::CondVar wake_;
  std::vector<query::Owner> heard_ ARTCACHE_GUARDED_BY(mutex_);  // in Redis
  bool heard_more_ ARTCACHE_GUARDED_BY(mutex_) = false;
  std::unique_ptr<query::Ear> ear_;
  std::jthread finder_;
};

Result<void> check_query(const config::Settings& told) {
  ARTCACHE_CHECK(Trust::check(told));
  ARTCACHE_CHECK(query::parse_elements(told.text("elements")));
  ARTCACHE_CHECK(shared_settings::database_address(told));
  ARTCACHE_CHECK(shared_settings::redis_address(told));
  return {};
}

Result<std::unique_ptr<Role>> make_query(const RoleContext& context) {
  const config::Settings& told = *context.settings;
  ARTCACHE_CHECK(check_query(told));
  ARTCACHE_TRY(auto named, query::parse_elements(told.text("elements")));
  ARTCACHE_TRY(const auto address, shared_settings::database_address(told));
  const std::string place =
      address ? address->reveal() : "sqlite://" + (context.data / "query.db").string();
  ARTCACHE_TRY(auto database,
               query::Database::open(place, "query", query::migrate, context.deps, context.call));
  auto role = std::make_unique<QueryRole>(context, std::move(database), std::move(named));
  ARTCACHE_CHECK(role->open());
  return std::unique_ptr<Role>(std::move(role));
}

/// Follows the elements of this process, with the account that its admin makes.
Result<void> demo_query(std::string_view, const std::filesystem::path& root,
                        config::Settings& settings) {
  const DemoSettings demo(settings);
  ARTCACHE_CHECK(demo.say("public_key", (root / "admin" / "keys").string()));
  ARTCACHE_CHECK(demo.say("elements", "se-01,se-02,se-03"));
  ARTCACHE_CHECK(demo.say("client_id", std::string(kDemoClient)));
  return demo.say("client_secret", std::string(kDemoSecret));
}

}  // namespace

const RoleKind& query_role() {
  static constexpr RoleKind kKind{.name = "query",
                                  .instance = "query",
                                  .port = 8030,
                                  .settings = kSettings,
                                  .check = check_query,
                                  .make = make_query,
                                  .demo = demo_query};
  return kKind;
}

}  // namespace artcache
