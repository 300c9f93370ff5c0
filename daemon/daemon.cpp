// SPDX-License-Identifier: Apache-2.0
#include "daemon.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <semaphore>
#include <stop_token>
#include <string_view>
#include <system_error>
#include <thread>

#include "util/here.hpp"
#include "util/try.hpp"
#include "web/authorities.hpp"

namespace artcache {
namespace {

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    if (end > begin) parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

/// What the daemon, and not the role, decides of a site.
void configure(http::Site& site, const config::Settings& settings) {
  site.limits.connections_most = settings.number("connections");
  site.limits.header_most = settings.number("header_bytes");
  site.limits.header_timeout = settings.duration("header_timeout");
  site.limits.first_byte_timeout = settings.duration("first_byte_timeout");
  site.limits.body_timeout = settings.duration("body_timeout");
  site.limits.body_rate = settings.number("body_rate");
  site.limits.write_timeout = settings.duration("write_timeout");
  site.limits.idle_timeout = settings.duration("idle_timeout");
  if (settings.was_said("cors_origins")) site.cors.origins = split(settings.text("cors_origins"));
}

/// Connections go by it themselves as soon as it can be used, and by the one before until then.
Result<void> check_authorities(const config::Settings& told) {
  if (!told.has("ca") || told.text("ca").empty()) return {};
  const auto read = web::read_authorities(told.text("ca"));
  if (!read) return read.error().in("ca");
  return {};
}

}  // namespace

Daemon::Daemon(const config::Plan& plan, const Deps& deps, const MetricsRegistry& metrics,
               const Backends& backends)
    : plan_(plan), deps_(deps), metrics_(metrics), backends_(backends) {}

Daemon::~Daemon() {
  server_.reset();
  for (auto& [name, role] : roles_) role->stop();
}

std::string Daemon::address_of(std::string_view instance) const {
  const auto port = ports_.find(std::string(instance));
  if (port == ports_.end()) return {};
  const auto one = std::ranges::find(plan_.instances, instance, &config::Instance::name);
  const bool tls = !one->site.text("tls_certificate").empty();
  std::string host = one->site.text("address");
  if (host == "0.0.0.0") host = "127.0.0.1";
  if (host == "::") host = "::1";
  if (host.find(':') != std::string::npos) host = "[" + host + "]";
  return (tls ? "https://" : "http://") + host + ":" + std::to_string(port->second);
}

Result<void> Daemon::make_one(const config::Instance& instance, const Call& call) {
  RoleContext context{.instance = instance.name,
                      .settings = &instance.role,
                      .data = plan_.data() / instance.name,
                      .deps = deps_,
                      .backends = &backends_,
                      .addresses = [this](std::string_view name) { return address_of(name); },
                      .workers = plan_.daemon.number("workers"),
                      .call = call};
  std::error_code error;
  std::filesystem::create_directories(context.data, error);
  if (error)
    return Error{Errc::unavailable,
                 "the folder '" + context.data.string() + "' cannot be made: " + error.message()};
  ARTCACHE_TRY(FolderHold hold, FolderHold::take(context.data));
  holds_.push_back(std::move(hold));
  auto role = instance.kind->make(context);
  if (!role) return std::move(role).error();
  http::Site& site = (*role)->site();
  configure(site, instance.site);
  add_operations(
      site, [role = role->get()](const Call& asked) { return role->health(asked); }, metrics_,
      *deps_.clock);
  roles_.emplace_back(instance.name, *std::move(role));
  return {};
}

Result<void> Daemon::make_roles(const Call& call) {
  for (const config::Instance& instance : plan_.instances)
    if (auto made = make_one(instance, call); !made)
      return std::move(made).error().in(instance.name);
  return {};
}

Result<void> Daemon::open(const Call& call) {
  if (auto made = make_roles(call); !made) return made;
  server_ = std::make_unique<http::Server>(
      http::ServerSettings{.io_threads = plan_.daemon.number("io_threads"),
                           .workers = plan_.daemon.number("workers"),
                           .queue_most = plan_.daemon.number("queue"),
                           .lasting_most = plan_.daemon.number("lasting"),
                           .grace = plan_.daemon.duration("grace")},
      deps_);
  for (std::size_t i = 0; i < roles_.size(); ++i) {
    const config::Settings& settings = plan_.instances[i].site;
    const auto& [name, role] = roles_[i];
    const auto port = server_->listen(
        role->site(), settings.text("address"), static_cast<std::uint16_t>(settings.number("port")),
        {.certificate = settings.text("tls_certificate"), .key = settings.text("tls_key")});
    if (!port) return port.error().in(name);
    ports_[name] = *port;
  }
  for (auto& [name, role] : roles_)
    if (auto started = role->start(); !started) return std::move(started).error().in(name);
  opened_ = true;
  return {};
}

std::vector<std::pair<std::string, http::Site*>> Daemon::sites() const {
  std::vector<std::pair<std::string, http::Site*>> all;
  for (const auto& [name, role] : roles_) all.emplace_back(name, &role->site());
  return all;
}

Result<void> Daemon::run(const Call& call) {
  std::stop_source left;
  std::counting_semaphore<2> told{0};
  const std::stop_callback on_stop(call.stop, [&told] { told.release(); });
  std::thread leaving([&] {
    told.acquire();
    for (auto& [name, role] : roles_) role->leave();
    left.request_stop();
  });
  Call serving = call;
  serving.stop = left.get_token();
  auto ran = server_->run(serving);
  told.release();  // where it ended by itself
  leaving.join();
  return ran;
}

void Daemon::reload() {
  if (!opened_) return;
  for (std::size_t i = 0; i < roles_.size(); ++i) {
    auto& [name, role] = roles_[i];
    // Each of its own: what cannot be used keeps nothing else from being read.
    const std::array done{role->reload(), server_->reload_tls(role->site()),
                          check_authorities(plan_.instances[i].role)};
    for (const Result<void>& one : done)
      if (!one) tell(LogLevel::error, name + ": " + to_string(one.error()));
    if (std::ranges::all_of(done, [](const auto& one) { return bool(one); }))
      tell(LogLevel::info, name + " was read anew");
  }
}

void Daemon::tell(LogLevel level, const std::string& message, const std::string& source) const {
  const LogField fields[] = {{"source", source}};
  deps_.logger->log({.level = level,
                     .logger = "artcached",
                     .message = message,
                     .fields = std::span(fields).first(level == LogLevel::error ? 1 : 0),
                     .request_id = {}});
}

}  // namespace artcache
