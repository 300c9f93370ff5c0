// SPDX-License-Identifier: Apache-2.0
#include "roles/admin/admin.hpp"

#include <utility>

#include "roles/admin/accounts.hpp"
#include "roles/admin/people.hpp"
#include "roles/admin/registry.hpp"
#include "roles/admin/schema.hpp"

namespace artcache::admin {
namespace {

// Other processes on the same database rotate keys too; their tokens should be believed soon.
constexpr std::chrono::seconds kTendEvery{5};
constexpr std::chrono::hours kTrimEvery{1};

}  // namespace

Result<std::unique_ptr<Admin>> Admin::open(Options options, const Deps& deps, Fetch fetch,
                                           const Call& call) {
  std::unique_ptr<Admin> out(new Admin(std::move(options), deps, std::move(fetch)));
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
  ARTCACHE_CHECK(out->add_routes());
  return out;
}

Admin::Admin(Options options, const Deps& deps, Fetch fetch) : site_("admin") {
  parts_.options = std::move(options);
  parts_.deps = deps;
  parts_.fetch = std::move(fetch);
  parts_.verifier = std::make_unique<auth::Verifier>(parts_.ring, *deps.clock);
  parts_.gate = std::make_unique<auth::Gate>(*parts_.verifier, deps,
                                             auth::GateOptions{.limits = parts_.options.limits});
  parts_.requests = std::make_unique<auth::Limiter>(*deps.clock);
  parts_.failures = std::make_unique<auth::Limiter>(*deps.clock);
}

Admin::~Admin() { stop(); }

Result<void> Admin::add_routes() {
  for (const auto add : {add_token_routes, add_key_routes, add_account_routes, add_login_routes,
                         add_user_routes, add_element_routes, add_audit_routes})
    ARTCACHE_CHECK(add(site_, parts_));
  return {};
}

Result<void> Admin::start() {
  if (!tender_.joinable()) tender_ = std::jthread([this](std::stop_token stop) { tend(stop); });
  return {};
}

void Admin::stop() {
  if (!tender_.joinable()) return;
  tender_.request_stop();
  {
    const util::MutexLock lock(mutex_);
    wake_.notify_all();
  }
  tender_.join();
}

Result<void> Admin::reload() { return parts_.signing->load(Call{}); }

void Admin::tend(std::stop_token stop) {
  Call call;
  call.stop = stop;
  auto trimmed = parts_.deps.clock->steady();
  while (!stop.stop_requested()) {
    report("keys", parts_.signing->tend(call));
    report("storage elements", sync_stale_elements(parts_, call));
    if (parts_.deps.clock->steady() - trimmed >= kTrimEvery) {
      trimmed = parts_.deps.clock->steady();
      report("audit trail", trim(call));
    }
    const util::MutexLock lock(mutex_);
    if (!stop.stop_requested()) wake_.wait_for(mutex_, kTendEvery);
  }
}

Result<void> Admin::trim(const Call& call) {
  const auto lifetime =
      std::chrono::duration_cast<std::chrono::microseconds>(parts_.options.audit_lifetime);
  if (lifetime.count() == 0) return {};
  ARTCACHE_CHECK(parts_.database->write(
      call, [&](Session& s) { return remove_audit_before(s, parts_.now() - lifetime); }));
  return {};
}

void Admin::report(std::string_view what, const Result<void>& done) {
  if (done || done.error().code == Errc::cancelled) return;
  const LogField fields[]{{"part", what}, {"reason", std::string_view(done.error().message)}};
  parts_.deps.logger->log({.level = LogLevel::error,
                           .logger = "admin",
                           .message = "Upkeep has to wait for the next round",
                           .fields = fields,
                           .request_id = {}});
}

std::vector<HealthPart> Admin::health(const Call& call) {
  const Call brief = call.within(std::chrono::seconds(1), *parts_.deps.clock);
  const auto keys = parts_.database->read(brief, [](Session& s) { return list_keys(s); });
  return {
      {.name = "database", .state = keys ? "ok" : keys.error().message, .works = keys.has_value()}};
}

}  // namespace artcache::admin
