// SPDX-License-Identifier: Apache-2.0
#include "routes_page.hpp"

#include <stdlib.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "common/metrics_registry.hpp"
#include "daemon.hpp"
#include "roles/table.hpp"
#include "util/try.hpp"

namespace artcache {
namespace {

namespace fs = std::filesystem;

/// A folder for as long as this lives.
class Scratch {
 public:
  static Result<Scratch> make() {
    std::error_code failed;
    std::string path = (fs::temp_directory_path(failed) / "artcached-XXXXXX").string();
    if (failed || ::mkdtemp(path.data()) == nullptr)
      return Error{Errc::unavailable, "no folder for a while: '" + path + "': " +
                                          (failed ? failed.message() : std::strerror(errno))};
    return Scratch(std::move(path));
  }
  Scratch(Scratch&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  Scratch& operator=(Scratch&&) = delete;
  ~Scratch() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  explicit Scratch(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

/// The same instances with nothing told but what a demonstration is told.
Result<config::Plan> embedded(const config::Plan& plan, const std::string& data) {
  config::Sources sources{.file = {}, .environment = {}, .roles = {}, .flags = {}};
  sources.flags.push_back("daemon.data=" + data);
  for (const config::Instance& one : plan.instances)
    sources.roles.push_back(std::string(one.kind->name) + "." + one.name);
  ARTCACHE_TRY(config::Plan made, config::make_plan(role_kinds(), sources));
  for (config::Instance& one : made.instances)
    if (one.kind->demo != nullptr) ARTCACHE_CHECK(one.kind->demo(one.name, data, one.role));
  return made;
}

std::string line(const std::string& instance, const http::Route& route) {
  char text[512];
  std::snprintf(text, sizeof text, "%-8s %-7s %-56s ", instance.c_str(),
                std::string(to_string(route.method)).c_str(), route.pattern.c_str());
  return text + route.summary + "\n";
}

}  // namespace

Result<std::string> routes_page(const config::Plan& plan) {
  ARTCACHE_TRY(const Scratch scratch, Scratch::make());
  ARTCACHE_TRY(const config::Plan made, embedded(plan, scratch.path()));
  MetricsRegistry metrics;
  const Deps deps{.clock = &system_clock(), .logger = &null_logger(), .metrics = &metrics};
  const Backends backends = Backends::builtin();
  Daemon daemon(made, deps, metrics, backends);
  ARTCACHE_CHECK(daemon.make_roles({}));
  std::string page;
  for (const auto& [name, site] : daemon.sites())
    for (const http::Route& route : site->routes()) page += line(name, route);
  return page;
}

}  // namespace artcache
