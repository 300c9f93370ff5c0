// SPDX-License-Identifier: Apache-2.0
// What the ingester can be told, and how it is put together.
#include "roles/role.hpp"

#include <array>
#include <artcache/url.hpp>
#include <optional>
#include <utility>

#include "common/database.hpp"
#include "roles/ingester/finalizer.hpp"
#include "roles/ingester/schema.hpp"
#include "roles/ingester/sources.hpp"
#include "roles/shared_settings.hpp"
#include "roles/trust.hpp"
#include "util/try.hpp"

namespace artcache {
namespace {

using config::Kind;
using config::Setting;

constexpr std::array kSettings{
    shared_settings::kDatabase,
    Setting{.name = "elements",
            .meaning =
                "http://host:8010,se-02=http://…; an id alone is an element of this process; "
                "beside those that admin and Redis know"},
    shared_settings::kRedis,
    shared_settings::kRedisHost,
    shared_settings::kRedisPort,
    shared_settings::kRedisDb,
    shared_settings::kRedisPassword,
    shared_settings::kAdmin,
    shared_settings::kClientId,
    shared_settings::kClientSecret,
    shared_settings::kCa,
    shared_settings::kPublicKey,
    shared_settings::kRateLimit,
    shared_settings::kUploadMaxSize,
    Setting{.name = "spool_bytes",
            .kind = Kind::number,
            .fallback = "1048576",
            .meaning = "of each upload kept in memory, to try another element with",
            .most = 64 * 1024 * 1024},
    Setting{.name = "attempts",
            .kind = Kind::number,
            .fallback = "3",
            .meaning = "elements that are tried for one file",
            .least = 1,
            .most = 100},
    Setting{.name = "poll_interval",
            .kind = Kind::duration,
            .fallback = "10s",
            .meaning = "how often elements are asked how they are; at most 45s",
            .least = 100},
    Setting{.name = "doubt",
            .kind = Kind::duration,
            .fallback = "5m",
            .meaning = "after how long a copy is removed that an element may have kept without a "
                       "word, when another one has the file"},
    Setting{.name = "stall",
            .kind = Kind::duration,
            .fallback = "120s",
            .meaning = "no byte for so long breaks a connection to an element off",
            .least = 1000},
    Setting{.name = "capacity_warning",
            .variable = "CAPACITY_WARNING_THRESHOLD",
            .kind = Kind::number,
            .fallback = "85",
            .meaning = "percent in use from which an element is said to fill up",
            .most = 100},
    Setting{.name = "capacity_critical",
            .variable = "CAPACITY_CRITICAL_THRESHOLD",
            .kind = Kind::number,
            .fallback = "92",
            .meaning = "percent in use from which it is nearly full",
            .most = 100},
    Setting{.name = "capacity_full",
            .variable = "CAPACITY_FULL_THRESHOLD",
            .kind = Kind::number,
            .fallback = "98",
            .meaning = "percent in use from which it gets no more files",
            .most = 100},
    Setting{.name = "finalize_attempts",
            .kind = Kind::number,
            .fallback = "10",
            .meaning = "of each step of a finalize, before it fails",
            .least = 1,
            .most = 1000},
    Setting{.name = "finalize_cleanup_after",
            .kind = Kind::duration,
            .fallback = "24h",
            .meaning = "how long the source of a finalized file stays"},
    Setting{.name = "finalize_days",
            .kind = Kind::number,
            .fallback = "30",
            .meaning = "how long a finalize that has ended is remembered; 0: for ever",
            .most = 36'500},
    Setting{.name = "finalize_wait",
            .kind = Kind::duration,
            .fallback = "30s",
            .meaning = "how long a request waits for the end of a finalize; it goes on all the "
                       "same"},
};

// The other workers are for those who do not wait.
constexpr std::size_t kShareOfWaits = 4;

Result<ingester::Options> options_of(const config::Settings& told) {
  ingester::Options out;
  out.upload_most = told.number("upload_max_size");
  out.spool = told.number("spool_bytes");
  out.doubt = told.duration("doubt");
  out.attempts = static_cast<std::uint32_t>(told.number("attempts"));
  out.thresholds = {.warning = static_cast<double>(told.number("capacity_warning")),
                    .critical = static_cast<double>(told.number("capacity_critical")),
                    .full = static_cast<double>(told.number("capacity_full"))};
  out.finalize_attempts = static_cast<std::uint32_t>(told.number("finalize_attempts"));
  out.finalize_cleanup_after = told.duration("finalize_cleanup_after");
  out.finalize_lifetime = std::chrono::hours(24 * told.number("finalize_days"));
  out.finalize_wait = told.duration("finalize_wait");
  const auto& levels = out.thresholds;
  if (levels.warning > levels.critical || levels.critical > levels.full)
    return Error{Errc::invalid_argument,
                 "capacity_warning, capacity_critical and capacity_full must not fall"};
  return out;
}

class IngesterRole final : public Role {
 public:
  IngesterRole(const RoleContext& context, std::unique_ptr<db::Database> database,
               const ingester::Options& options, std::optional<ingester::ElementSource> redis)
      : deps_(context.deps),
        addresses_(context.addresses),
        admin_(context.settings->text("admin")),
        database_(std::move(database)),
        trust_(*context.settings, deps_),
        http_({.stall = context.settings->duration("stall"),
               .ca = context.settings->text("ca"),
               .idle_most = 64},
              *deps_.clock),
        token_({.admin = [this] { return admin_address(); },
                .client_id = context.settings->text("client_id"),
                .secret = context.settings->text("client_secret"),
                .site = context.instance},
               http_, deps_),
        client_(http_, token_),
        elements_({.poll_every = std::min<std::chrono::nanoseconds>(
                       context.settings->duration("poll_interval"), std::chrono::seconds(45))},
                  sources(context.settings->text("elements"), std::move(redis)), http_, deps_),
        parts_{.options = options,
               .deps = deps_,
               .elements = &elements_,
               .client = &client_,
               .database = database_.get(),
               .gate = &trust_.gate()},
        finalizer_(parts_),
        site_(context.instance) {}

  Result<void> open() {
    ARTCACHE_CHECK(add_upload_routes(site_, parts_));
    return add_finalize_routes(site_, parts_, finalizer_);
  }
  http::Site& site() override { return site_; }
  Result<void> start() override {
    trust_.start();
    elements_.start();
    finalizer_.start();
    return {};
  }
  void stop() override {
    finalizer_.stop();
    elements_.stop();
  }
  Result<void> reload() override { return trust_.reload(); }

  std::vector<HealthPart> health(const Call& call) override {
    std::vector<HealthPart> parts;
    const auto cleanups =
        database_->read(call, [](db::Session& s) { return ingester::count_cleanups(s); });
    parts.push_back({.name = "database",
                     .state = cleanups ? "ok" : std::string(to_string(cleanups.error().code)),
                     .works = cleanups.has_value()});
    parts.push_back(trust_.health());
    std::size_t healthy = 0;
    for (const ingester::ElementView& element : elements_.now()) healthy += element.healthy ? 1 : 0;
    parts.push_back({.name = "storage_elements",
                     .state = healthy > 0 ? "ok" : "none answers",
                     .works = healthy > 0});
    // What was known counts while they are away.
    for (auto& [name, state] : elements_.sources()) {
      const bool asked = name == "redis" || (name == "admin" && !admin_address().empty());
      if (asked && !state.empty())
        parts.push_back({.name = std::move(name), .state = std::move(state)});
    }
    return parts;
  }

 private:
  [[nodiscard]] std::string admin_address() const {
    return admin_.empty() ? addresses_("admin") : admin_;
  }

  std::vector<ingester::ElementSource> sources(const std::string& named,
                                               std::optional<ingester::ElementSource> redis) {
    std::vector<ingester::ElementSource> out;
    out.push_back(ingester::named_source(
        named, [this](const std::string& instance) { return addresses_(instance); }));
    out.push_back(ingester::admin_source([this] { return admin_address(); }, http_, token_));
    if (redis) out.push_back(*std::move(redis));
    return out;
  }

  const Deps deps_;
  const Addresses addresses_;
  const std::string admin_;
  const std::unique_ptr<db::Database> database_;
  Trust trust_;
  web::HttpClient http_;
  ServiceToken token_;
  ingester::ElementClient client_;
  ingester::Elements elements_;
  ingester::Parts parts_;
  ingester::Finalizer finalizer_;
  http::Site site_;
};

Result<void> check_ingester(const config::Settings& told) {
  ARTCACHE_CHECK(Trust::check(told));
  if (told.text("client_id").empty() || told.text("client_secret").empty())
    return Error{Errc::invalid_argument,
                 "client_id, client_secret: elements take files only from an account"};
  ARTCACHE_CHECK(options_of(told));
  ARTCACHE_CHECK(shared_settings::redis_address(told));
  return {};
}

Result<std::unique_ptr<Role>> make_ingester(const RoleContext& context) {
  const config::Settings& told = *context.settings;
  ARTCACHE_CHECK(check_ingester(told));
  ARTCACHE_TRY(auto options, options_of(told));
  options.finalize_waits_most = context.workers / kShareOfWaits;
  std::string address = told.text("database");
  if (address.empty()) address = "sqlite://" + (context.data / "ingester.db").string();
  ARTCACHE_TRY(auto database, db::Database::open(address, "ingester", ingester::migrate,
                                                 context.deps, context.call));
  std::optional<ingester::ElementSource> redis;
  ARTCACHE_TRY(const auto place, shared_settings::redis_address(told));
  if (place) {
    ARTCACHE_TRY(redis, ingester::redis_source(*place, context.deps));
  }
  auto role =
      std::make_unique<IngesterRole>(context, std::move(database), options, std::move(redis));
  ARTCACHE_CHECK(role->open());
  return std::unique_ptr<Role>(std::move(role));
}

/// On the elements of the demonstration, with the account that its admin makes.
Result<void> demo_ingester(std::string_view, const std::filesystem::path& root,
                           config::Settings& settings) {
  const DemoSettings demo(settings);
  ARTCACHE_CHECK(demo.say("public_key", (root / "admin" / "keys").string()));
  ARTCACHE_CHECK(demo.say("client_id", std::string(kDemoClient)));
  ARTCACHE_CHECK(demo.say("client_secret", std::string(kDemoSecret)));
  return demo.say("elements", "se-01,se-02,se-03");
}

}  // namespace

const RoleKind& ingester_role() {
  static constexpr RoleKind kKind{.name = "ingester",
                                  .instance = "ingester",
                                  .port = 8020,
                                  .settings = kSettings,
                                  .check = check_ingester,
                                  .make = make_ingester,
                                  .demo = demo_ingester};
  return kKind;
}

}  // namespace artcache
