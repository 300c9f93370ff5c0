// SPDX-License-Identifier: Apache-2.0
// Opens what an element is made of, and runs it.
#include "roles/role.hpp"

#include <array>
#include <artcache/element.hpp>
#include <artcache/url.hpp>
#include <utility>

#include "common/s3_environment.hpp"
#include "roles/element/element.hpp"
#include "roles/element/outward.hpp"
#include "roles/element/schedule.hpp"
#include "roles/element/settings.hpp"
#include "roles/shared_settings.hpp"
#include "roles/trust.hpp"
#include "util/try.hpp"

namespace artcache {
namespace {

constexpr std::chrono::milliseconds kHealthMost{500};  // of index and storage, each

/// What is opened for one element. Members are closed in the reverse order.
struct Opened {
  std::unique_ptr<StorageBackend> storage;
  std::unique_ptr<MetadataStore> index;
  std::unique_ptr<LockManager> locks, claims;
  bool embedded = false;
  std::string storage_type, base_path;
};

/// An index that an older artcached has left is brought to this version first.
Result<std::unique_ptr<MetadataStore>> open_newest(const RoleContext& context, const Url& index) {
  const auto migrated = context.backends->migrate_index(index, context.deps, context.call);
  if (!migrated) {
    // Not there yet, made anew each time, or of a newer version, which opening tells better.
    const Errc why = migrated.error().code;
    if (why != Errc::not_found && why != Errc::unsupported) return migrated.error();
  } else if (migrated->before != 0 && migrated->before != migrated->after) {
    const LogField fields[] = {{"before", std::int64_t{migrated->before}},
                               {"after", std::int64_t{migrated->after}}};
    context.deps.logger->log({.level = LogLevel::info,
                              .logger = "element",
                              .message = "The tables of the index were made those of this version",
                              .fields = fields,
                              .request_id = {}});
  }
  return context.backends->open_index(index, context.deps, context.call);
}

/// The folder, or bucket and prefix, as people write it.
std::string folder_of(const Url& storage) {
  return storage.hosts().empty() ? storage.path() : storage.hosts().front().name + storage.path();
}

Result<void> open_locks(const RoleContext& context, Opened& opened) {
  LockStore* const store = opened.index->locks();
  if (store == nullptr) return Error{Errc::unsupported, "element: this index keeps no locks"};
  ARTCACHE_TRY(opened.claims, make_lock_manager(*store, context.deps));
  if (context.settings->text("locks").empty()) {
    ARTCACHE_TRY(opened.locks, make_lock_manager(*store, context.deps));
    return {};
  }
  ARTCACHE_TRY(const Url url, Url::parse(context.settings->text("locks")));
  ARTCACHE_TRY(opened.locks, context.backends->open_locks(url, *store, context.deps, context.call));
  return {};
}

Result<Opened> open_parts(const RoleContext& context) {
  Opened opened;
  const auto files = context.data / "files";
  ARTCACHE_TRY(auto told, element::storage_address(*context.settings));
  if (!told) {
    ARTCACHE_TRY(told, Url::parse("file://" + files.string()));
    std::error_code failed;
    std::filesystem::create_directories(files, failed);
    if (failed)
      return Error{Errc::unavailable, "element: '" + files.string() + "': " + failed.message()};
  }
  ARTCACHE_TRY(const Url storage, with_s3_environment(*told, process_environment()));
  ARTCACHE_TRY(auto index_told, element::index_address(*context.settings));
  if (!index_told) {
    ARTCACHE_TRY(index_told, Url::parse("sqlite://" + (context.data / "index.db").string()));
  }
  ARTCACHE_TRY(const Url index, element::with_changes_kept(*index_told, *context.settings));
  ARTCACHE_TRY(opened.storage, context.backends->open_storage(storage, context.deps, context.call));
  if (index.scheme() == "sqlite") opened.storage->hide(index.path());
  ARTCACHE_TRY(opened.index, open_newest(context, index));
  ARTCACHE_CHECK(open_locks(context, opened));
  opened.embedded = index.scheme() == "sqlite" && storage.scheme() == "file";
  opened.storage_type = storage.scheme() == "file" ? "local" : std::string(storage.scheme());
  opened.base_path = folder_of(storage);
  return opened;
}

element::ElementSettings settings_of(const RoleContext& context, const Opened& opened) {
  const config::Settings& told = *context.settings;
  element::ElementSettings out;
  out.id = told.text("element_id").empty() ? context.instance : told.text("element_id");
  out.name = told.text("name");
  out.display_name = told.text("display_name");
  out.mode = parse_element_mode(told.text("mode")).value_or(ElementMode::edit);
  out.priority = told.number("priority");
  out.storage_type = opened.storage_type;
  out.base_path = opened.base_path;
  out.datacenter = told.text("location");
  if (const auto most = told.number("max_size"); most > 0) out.capacity_bytes = most;
  if (const auto hours = told.number("ttl_hours"); hours > 0)
    out.ttl_hours = static_cast<std::int32_t>(hours);
  out.upload_most = told.number("upload_max_size");
  out.details_most = static_cast<std::size_t>(told.number("details_most"));
  out.run_limit = told.duration("run_limit");
  out.run_rates = {.files_per_second = told.number("run_files_per_second"),
                   .bytes_per_second = told.number("run_bytes_per_second")};
  out.snapshot_limit = told.duration("snapshot_limit");
  out.rebuild_suspect = told.flag("rebuild_on_startup");
  out.embedded = opened.embedded;
  return out;
}

/// Nothing when it is not told one: then the admin hears of the element from nobody.
std::optional<ServiceAccount> account_of(const RoleContext& context) {
  const config::Settings& told = *context.settings;
  if (told.text("client_id").empty()) return std::nullopt;
  return ServiceAccount{
      .admin = [url = told.text("admin"),
                here = context.addresses] { return url.empty() ? here("admin") : url; },
      .client_id = told.text("client_id"),
      .secret = told.text("client_secret"),
      .site = context.instance};
}

class ElementRole final : public Role {
 public:
  ElementRole(const RoleContext& context, Opened opened, element::ElementSettings settings)
      : deps_(context.deps),
        call_(context.call),
        opened_(std::move(opened)),
        trust_(*context.settings, deps_),
        site_(context.instance),
        element_(std::move(settings), {.storage = opened_.storage.get(),
                                       .index = opened_.index.get(),
                                       .locks = opened_.locks.get(),
                                       .claims = opened_.claims.get(),
                                       .gate = &trust_.gate(),
                                       .deps = deps_}) {}

  Result<void> open(const RoleContext& context) {
    instance_ = context.instance;
    endpoint_ = context.settings->text("endpoint");
    addresses_ = context.addresses;
    ARTCACHE_TRY(outward_,
                 element::Outward::make(element_, *context.settings, account_of(context), deps_));
    ARTCACHE_TRY(const auto schedules, element::schedules_of(*context.settings));
    scheduler_ = std::make_unique<element::Scheduler>(element_, schedules);
    return element_.add_routes(site_);
  }
  http::Site& site() override { return site_; }
  Result<void> start() override {
    trust_.start();
    ARTCACHE_CHECK(element_.start(call_));
    scheduler_->start();
    outward_->start(endpoint_.empty() ? addresses_(instance_) : endpoint_);
    return {};
  }
  void leave() override { outward_->withdraw(); }
  void stop() override {
    outward_->stop();
    element_.stop();  // ends a run that the scheduler waits for
    scheduler_->stop();
  }
  Result<void> reload() override { return trust_.reload(); }

  std::vector<HealthPart> health(const Call& call) override {
    std::vector<HealthPart> parts;
    const auto note = [&](std::string name, const Error* error) {
      parts.push_back({.name = std::move(name),
                       .state = error == nullptr ? "ok" : std::string(to_string(error->code)),
                       .works = error == nullptr});
    };
    // Either has its time, so that the one that hangs is the one that is named.
    const auto head = opened_.index->head(call.within(kHealthMost, *deps_.clock));
    note("index", head ? nullptr : &head.error());
    // It serves what it has; who is asked for more answers 503 by itself.
    if (head && !head->suspect_reason.empty())
      parts.push_back({.name = "index_suspect",
                       .state = head->suspect_reason + "; POST /api/v1/cache/rebuild mends it"});
    const auto sign = opened_.storage->stat("health", call.within(kHealthMost, *deps_.clock));
    note("storage", sign ? nullptr : &sign.error());
    parts.push_back(trust_.health());
    outward_->append_health(parts);
    scheduler_->append_health(parts);
    return parts;
  }

 private:
  const Deps deps_;
  const Call call_;
  const Opened opened_;
  Trust trust_;
  http::Site site_;
  element::Element element_;
  std::unique_ptr<element::Scheduler> scheduler_;
  std::unique_ptr<element::Outward> outward_;
  std::string instance_, endpoint_;
  Addresses addresses_;
};

Result<void> check_element(const config::Settings& told) {
  ARTCACHE_CHECK(Trust::check(told));
  if (!parse_element_mode(told.text("mode")))
    return Error{Errc::invalid_argument,
                 "mode: '" + told.text("mode") + "' is not edit, rw, ro or ar"};
  ARTCACHE_CHECK(element::storage_address(told));
  ARTCACHE_CHECK(element::changes_kept(told));
  ARTCACHE_CHECK(shared_settings::redis_address(told));
  ARTCACHE_CHECK(element::schedules_of(told));
  return {};
}

Result<std::unique_ptr<Role>> make_element(const RoleContext& context) {
  ARTCACHE_CHECK(check_element(*context.settings));
  ARTCACHE_TRY(Opened opened, open_parts(context));
  auto settings = settings_of(context, opened);
  if (auto settled = settle_element(*opened.index, settings.id, context.call); !settled)
    return std::move(settled).error().in("element_id");
  auto role = std::make_unique<ElementRole>(context, std::move(opened), std::move(settings));
  ARTCACHE_CHECK(role->open(context));
  return std::unique_ptr<Role>(std::move(role));
}

/// Three elements as in the stand for acceptance: two that are filled first, and a lasting one.
Result<void> demo_element(std::string_view instance, const std::filesystem::path& root,
                          config::Settings& settings) {
  const std::string number = instance.empty() ? "1" : std::string(1, instance.back());
  const DemoSettings demo(settings);
  ARTCACHE_CHECK(demo.say("public_key", (root / "admin" / "keys").string()));
  ARTCACHE_CHECK(demo.say("mode", number == "3" ? "rw" : "edit"));
  ARTCACHE_CHECK(demo.say("priority", number + "00"));
  ARTCACHE_CHECK(demo.say("client_id", std::string(kDemoClient)));
  ARTCACHE_CHECK(demo.say("client_secret", std::string(kDemoSecret)));
  return demo.say("max_size", number == "3" ? "1073741824" : "0");
}

}  // namespace

const RoleKind& element_role() {
  static constexpr std::array<std::string_view, 3> kStand{"se-01", "se-02", "se-03"};
  static const RoleKind kKind{.name = "element",
                              .instance = "se-01",
                              .port = 8010,
                              .settings = element::settings_table(),
                              .check = check_element,
                              .make = make_element,
                              .demo = demo_element,
                              .demo_instances = kStand};
  return kKind;
}

}  // namespace artcache
