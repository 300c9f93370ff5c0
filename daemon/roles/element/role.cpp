// SPDX-License-Identifier: Apache-2.0
// What an element can be told, under the names that operators of the original know.
#include "roles/role.hpp"

#include <array>
#include <artcache/url.hpp>
#include <utility>

#include "auth/keys.hpp"
#include "common/s3_environment.hpp"
#include "roles/element/element.hpp"
#include "util/try.hpp"

namespace artcache {
namespace {

using config::Kind;
using config::Setting;

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
    Setting{.name = "upload_max_size",
            .kind = Kind::number,
            .fallback = "1099511627776",
            .meaning = "bytes that one file may have",
            .least = 1},
    Setting{.name = "priority",
            .variable = "STORAGE_PRIORITY",
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
    Setting{.name = "public_key",
            .variable = "JWT_PUBLIC_KEY_PATH",
            .meaning = "PEM file, or folder of them, of the keys that sign tokens"},
    Setting{.name = "rate_limit",
            .variable = "RATE_LIMIT_ENABLED",
            .kind = Kind::flag,
            .fallback = "false",
            .meaning = "whether the limit of an account counts"},
    Setting{.name = "run_limit",
            .kind = Kind::duration,
            .fallback = "0",
            .meaning = "how long a rebuild, check or cleanup may take; 0: no limit"},
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
};

Result<Url> address_of(const RoleContext& context, std::string_view name,
                       const std::string& fallback) {
  const std::string& told = context.settings->text(name);
  auto url = Url::parse(told.empty() ? fallback : told);
  if (!url) return std::move(url).error().in(name);
  return url;
}

/// What is opened for one element. Members are closed in the reverse order.
struct Opened {
  std::unique_ptr<StorageBackend> storage;
  std::unique_ptr<MetadataStore> index;
  std::unique_ptr<LockManager> locks;
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
  if (context.settings->text("locks").empty()) {
    ARTCACHE_TRY(opened.locks, make_lock_manager(*store, context.deps));
    return {};
  }
  ARTCACHE_TRY(const Url url, address_of(context, "locks", {}));
  ARTCACHE_TRY(opened.locks, context.backends->open_locks(url, *store, context.deps, context.call));
  return {};
}

Result<Opened> open_parts(const RoleContext& context) {
  Opened opened;
  const auto files = context.data / "files";
  ARTCACHE_TRY(const Url told, address_of(context, "storage", "file://" + files.string()));
  if (context.settings->text("storage").empty()) {
    std::error_code failed;
    std::filesystem::create_directories(files, failed);
    if (failed)
      return Error{Errc::unavailable, "element: '" + files.string() + "': " + failed.message()};
  }
  ARTCACHE_TRY(const Url storage, with_s3_environment(told, process_environment()));
  ARTCACHE_TRY(const Url index,
               address_of(context, "index", "sqlite://" + (context.data / "index.db").string()));
  ARTCACHE_TRY(opened.storage, context.backends->open_storage(storage, context.deps, context.call));
  if (index.scheme() == "sqlite") opened.storage->hide(index.path());
  ARTCACHE_TRY(opened.index, open_newest(context, index));
  ARTCACHE_CHECK(open_locks(context, opened));
  opened.embedded = index.scheme() == "sqlite" && storage.scheme() == "file";
  opened.storage_type = storage.scheme() == "file" ? "local" : std::string(storage.scheme());
  opened.base_path = folder_of(storage);
  return opened;
}

Result<element::ElementSettings> settings_of(const RoleContext& context, const Opened& opened) {
  const config::Settings& told = *context.settings;
  element::ElementSettings out;
  out.id = told.text("element_id").empty() ? context.instance : told.text("element_id");
  out.name = told.text("name");
  out.display_name = told.text("display_name");
  const auto mode = parse_element_mode(told.text("mode"));
  if (!mode)
    return Error{Errc::invalid_argument,
                 "mode: '" + told.text("mode") + "' is not edit, rw, ro or ar"};
  out.mode = *mode;
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
  out.rebuild_suspect = told.flag("rebuild_on_startup");
  out.embedded = opened.embedded;
  return out;
}

class ElementRole final : public Role {
 public:
  ElementRole(const RoleContext& context, Opened opened, element::ElementSettings settings)
      : deps_(context.deps),
        call_(context.call),
        opened_(std::move(opened)),
        keys_(context.settings->text("public_key"), ring_, deps_),
        verifier_(ring_, *deps_.clock, {.refresh = [this] { keys_.refresh(); }}),
        gate_(verifier_, deps_,
              {.limits = context.settings->flag("rate_limit") ? auth::RateLimits::on
                                                              : auth::RateLimits::off}),
        site_(context.instance),
        element_(std::move(settings), {.storage = opened_.storage.get(),
                                       .index = opened_.index.get(),
                                       .locks = opened_.locks.get(),
                                       .gate = &gate_,
                                       .deps = deps_}) {}

  Result<void> open() { return element_.add_routes(site_); }
  http::Site& site() override { return site_; }
  Result<void> start() override {
    // The admin of this process may have made its keys just now.
    keys_.refresh();
    return element_.start(call_);
  }
  void stop() override { element_.stop(); }
  Result<void> reload() override { return keys_.reload(); }

  std::vector<HealthPart> health(const Call& call) override {
    std::vector<HealthPart> parts;
    const auto note = [&](std::string name, const Error* error) {
      parts.push_back({.name = std::move(name),
                       .state = error == nullptr ? "ok" : std::string(to_string(error->code)),
                       .works = error == nullptr});
    };
    const auto head = opened_.index->head(call);
    note("index", head ? nullptr : &head.error());
    const auto sign = opened_.storage->stat("health", call);
    note("storage", sign ? nullptr : &sign.error());
    const bool keys = !ring_.keys()->all.empty();
    parts.push_back({.name = "keys", .state = keys ? "ok" : "none", .works = keys});
    return parts;
  }

 private:
  const Deps deps_;
  const Call call_;
  const Opened opened_;
  auth::KeyRing ring_;
  auth::KeyFiles keys_;
  auth::Verifier verifier_;
  auth::Gate gate_;
  http::Site site_;
  element::Element element_;
};

Result<std::unique_ptr<Role>> make_element(const RoleContext& context) {
  if (context.settings->text("public_key").empty())
    return Error{Errc::invalid_argument,
                 "public_key: nobody could sign a token that this element accepts"};
  ARTCACHE_TRY(Opened opened, open_parts(context));
  ARTCACHE_TRY(auto settings, settings_of(context, opened));
  auto role = std::make_unique<ElementRole>(context, std::move(opened), std::move(settings));
  ARTCACHE_CHECK(role->open());
  return std::unique_ptr<Role>(std::move(role));
}

/// Three elements as in the stand for acceptance: two that are filled first, and a lasting one.
Result<void> demo_element(std::string_view instance, const std::filesystem::path& root,
                          config::Settings& settings) {
  const std::string number = instance.empty() ? "1" : std::string(1, instance.back());
  ARTCACHE_CHECK(settings.put("public_key", (root / "admin" / "keys").string(), "demo"));
  ARTCACHE_CHECK(settings.put("mode", number == "3" ? "rw" : "edit", "demo"));
  ARTCACHE_CHECK(settings.put("priority", number + "00", "demo"));
  return settings.put("max_size", number == "3" ? "1073741824" : "0", "demo");
}

}  // namespace

const RoleKind& element_role() {
  static constexpr RoleKind kKind{.name = "element",
                                  .instance = "se-01",
                                  .port = 8010,
                                  .settings = kSettings,
                                  .make = make_element,
                                  .demo = demo_element};
  return kKind;
}

}  // namespace artcache
