// SPDX-License-Identifier: Apache-2.0
#include "roles/admin/admin.hpp"

#include <artcache/version.hpp>
#include <utility>

#include "roles/admin/accounts.hpp"
#include "roles/admin/people.hpp"
#include "roles/admin/registry.hpp"
#include "roles/admin/schema.hpp"
#include "util/here.hpp"

namespace artcache::admin {
namespace {

// Other processes on the same database rotate keys too; their tokens should be believed soon.
constexpr std::chrono::seconds kTendEvery{5};
constexpr std::chrono::hours kTrimEvery{1};
// The other roles are read anew behind this one, and the process ends no sooner.
constexpr std::chrono::seconds kReloadMost{5};
// An element that comes back is to be followed soon.
constexpr std::chrono::seconds kFollowPauseMost{5};
constexpr replica::Names kNames{.logger = "file_registry", .metrics = "artstore_admin_registry_"};

}  // namespace

Result<std::unique_ptr<Admin>> Admin::open(Options options, const Deps& deps, Outside outside,
                                           const Call& call) {
  std::unique_ptr<Admin> out(new Admin(std::move(options), deps));
  Parts& parts = out->parts_;
  ARTCACHE_TRY(parts.database,
               Database::open(parts.options.database, "admin", migrate, deps, call));
  parts.options.signing.overlap =
      parts.options.access_lifetime + parts.options.refresh_lifetime + std::chrono::minutes(1);
  parts.signing =
      std::make_unique<Signing>(*parts.database, parts.ring, deps, parts.options.signing);
  ARTCACHE_CHECK(parts.signing->load(call));
  ARTCACHE_CHECK(make_initial_accounts(parts, call));
  ARTCACHE_CHECK(make_initial_user(parts, call));
  out->open_registry(std::move(outside));
  ARTCACHE_CHECK(out->add_routes());
  return out;
}

Admin::Admin(Options options, const Deps& deps) : site_("admin") {
  parts_.options = std::move(options);
  parts_.deps = deps;
  parts_.verifier = std::make_unique<auth::Verifier>(
      parts_.ring, *deps.clock, auth::VerifierOptions{.metrics = deps.metrics});
  parts_.gate = std::make_unique<auth::Gate>(*parts_.verifier, deps,
                                             auth::GateOptions{.limits = parts_.options.limits});
  parts_.requests = std::make_unique<auth::Limiter>(*deps.clock);
  parts_.failures = std::make_unique<auth::Limiter>(*deps.clock);
}

Admin::~Admin() { stop(); }

void Admin::open_registry(Outside outside) {
  Parts& parts = parts_;
  const Options& options = parts.options;
  parts.fetch = std::move(outside.fetch);
  parts.files = std::make_unique<FileTables>(parts.deps, options.cleanup_delay);
  parts.element_files =
      std::make_unique<ElementFiles>(*parts.signing, std::move(outside.send), parts.deps);
  parts.clean_soon = [this] { cleaner_.wake(); };
  if (!options.follow_files || !outside.open_log) return;
  const auto open = [&parts, open_log = std::move(outside.open_log)](const replica::Owner& owner) {
    return open_log(
        owner.url, [&parts](const Call&) { return parts.element_files->token(); },
        [&parts](const std::string& token) { parts.element_files->reject(token); });
  };
  parts.fleet = std::make_unique<replica::Fleet>(
      replica::Replica{parts.database.get(), parts.files.get(), kNames}, open,
      FollowSettings{.pause_most = kFollowPauseMost,
                     .audit_interval = options.registry_audit_interval},
      parts.deps);
}

Result<void> Admin::add_routes() {
  for (const auto add :
       {add_token_routes, add_key_routes, add_account_routes, add_login_routes, add_user_routes,
        add_element_routes, add_audit_routes, add_file_routes, add_cleanup_routes})
    ARTCACHE_CHECK(add(site_, parts_));
  return {};
}

Result<void> Admin::start() {
  const MetricLabel labels[] = {{"version", version()}};
  parts_.deps.metrics->gauge("admin_module_info", labels, 1);
  cleaner_.start();
  if (!tender_.joinable()) tender_ = std::jthread([this](std::stop_token stop) { tend(stop); });
  return {};
}

void Admin::leave() {
  cleaner_.stop();
  if (parts_.fleet) parts_.fleet->stop();
}

void Admin::stop() {
  leave();
  if (!tender_.joinable()) return;
  tender_.request_stop();
  {
    const util::MutexLock lock(mutex_);
    wake_.notify_all();
  }
  tender_.join();
}

Result<void> Admin::reload() {
  return parts_.signing->load(Call{}.within(kReloadMost, *parts_.deps.clock));
}

void Admin::tend(std::stop_token stop) {
  Call call;
  call.stop = stop;
  auto trimmed = parts_.deps.clock->steady();
  while (!stop.stop_requested()) {
    report("keys", parts_.signing->tend(call));
    report("accounts", measure(call));
    // Before those are asked that may be slow to answer.
    report("file registry", follow_elements(parts_, call));
    report("storage elements", sync_stale_elements(parts_, call));
    if (parts_.fleet) parts_.fleet->measure();
    if (parts_.deps.clock->steady() - trimmed >= kTrimEvery) {
      trimmed = parts_.deps.clock->steady();
      report("audit trail", trim(call));
    }
    const util::MutexLock lock(mutex_);
    if (!stop.stop_requested()) wake_.wait_for(mutex_, kTendEvery);
  }
}

Result<void> Admin::measure(const Call& call) {
  const auto active = parts_.database->read(call, count_active_accounts);
  show_database(active.has_value());
  ARTCACHE_CHECK(active);
  parts_.deps.metrics->gauge("service_accounts_active", {}, static_cast<double>(*active));
  return {};
}

void Admin::show_database(bool answers) {
  parts_.deps.metrics->gauge("admin_module_database_status", {}, answers ? 1 : 0);
}

Result<void> Admin::trim(const Call& call) {
  const auto lifetime =
      std::chrono::duration_cast<std::chrono::microseconds>(parts_.options.audit_lifetime);
  if (lifetime.count() == 0) return {};
  return parts_.database->write(call, [&](Session& s) -> Result<void> {
    ARTCACHE_CHECK(remove_audit_before(s, parts_.now() - lifetime));
    return forget_deleted(s, parts_.now() - lifetime);
  });
}

void Admin::report(std::string_view what, const Result<void>& done) {
  if (done || done.error().code == Errc::cancelled) return;
  const std::string source = util::here();
  const LogField fields[]{{"part", what},
                          {"reason", std::string_view(done.error().message)},
                          {"source", std::string_view(source)}};
  parts_.deps.logger->log({.level = LogLevel::error,
                           .logger = "admin",
                           .message = "Upkeep has to wait for the next round",
                           .fields = fields,
                           .request_id = {}});
}

std::vector<HealthPart> Admin::health(const Call& call) {
  const auto keys = parts_.database->read(call, [](Session& s) { return list_keys(s); });
  std::vector<HealthPart> parts{
      {.name = "database", .state = keys ? "ok" : keys.error().message, .works = keys.has_value()}};
  const MetricLabel labels[] = {{"status", keys ? "ready" : "not_ready"}};
  parts_.deps.metrics->count("admin_module_health_checks_total", labels, 1);
  show_database(keys.has_value());
  // An element that is away makes the registry older, not useless.
  if (parts_.fleet)
    for (const auto& one : parts_.fleet->all())
      parts.push_back({.name = one->element().element,
                       .state = std::string(to_string(one->status().follow.state))});
  return parts;
}

}  // namespace artcache::admin
