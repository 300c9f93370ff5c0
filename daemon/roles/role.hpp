// SPDX-License-Identifier: Apache-2.0
// What artcached needs to know of a role, and a role of artcached.
#pragma once

#include <artcache/backends.hpp>
#include <artcache/call.hpp>
#include <artcache/result.hpp>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/operations.hpp"
#include "config/settings.hpp"
#include "http/site.hpp"

namespace artcache {

/// One role of the daemon: a site and what works behind it. Made, started, and stopped by one
/// thread; its handlers run on many.
class Role {
 public:
  virtual ~Role() = default;
  /// With every route in it. The daemon adds /health/live, /health/ready and /metrics where the
  /// role has none of its own, and the settings that all sites have.
  virtual http::Site& site() = 0;
  /// Starts what runs beside the requests. Every port is taken by then, not yet served.
  /// Errors: those of what is started; the daemon does not come up.
  virtual Result<void> start() { return {}; }
  /// The process was told to stop, and every site of it still answers: takes back what others were
  /// told of the role, and asks others nothing more. By a thread of its own, before stop().
  virtual void leave() {}
  /// Ends what start() began; requests have been answered by then. Also when it never started.
  virtual void stop() {}
  /// SIGHUP: reads keys and the like anew. On an error the old ones stay. Certificates of its port
  /// and its `ca` are no matter of the role.
  virtual Result<void> reload() { return {}; }
  /// Asked for each /health/ready, on a worker. The call ends within a second; so should this.
  virtual std::vector<HealthPart> health(const Call& call) = 0;
};

/// Where a site of this process, or of another one, is reached: "http://127.0.0.1:8010". Empty
/// when it is not known. To be asked in start() or later.
using Addresses = std::function<std::string(std::string_view instance)>;

struct RoleContext {
  std::string instance;                        ///< "admin", "se-01"
  const config::Settings* settings = nullptr;  ///< those of RoleKind::settings; outlives the role
  std::filesystem::path data;                  ///< a folder of the role's own, which exists
  Deps deps;                                   ///< outlive the role
  const Backends* backends = nullptr;          ///< outlives the role
  Addresses addresses;                         ///< of all sites in this process
  std::size_t workers = 1;                     ///< that all roles of the process share
  Call call;                                   ///< stops when the process is told to
};

/// A row of the daemon's table of roles.
struct RoleKind {
  std::string_view name;      ///< the section of the file: [admin], [element.se-01]
  std::string_view instance;  ///< of the one that there usually is: "admin", "se-01"
  std::uint16_t port = 0;     ///< where it usually listens
  std::span<const config::Setting> settings = {};
  /// Whether the settings can be meant, and go together; opens nothing. make() begins with it.
  /// Errors: invalid_argument.
  Result<void> (*check)(const config::Settings& settings) = nullptr;
  /// Errors: those of check(), and those of the backends.
  Result<std::unique_ptr<Role>> (*make)(const RoleContext& context) = nullptr;
  /// Tells the settings that make one on embedded parts for --demo. Below `root` each instance has
  /// a folder of its name, its RoleContext::data. The admin is made first: its keys are there.
  Result<void> (*demo)(std::string_view instance, const std::filesystem::path& root,
                       config::Settings& settings) = nullptr;
  /// Those that --demo makes, each one port above the one before; empty: the usual one.
  std::span<const std::string_view> demo_instances = {};
};

/// The account that --demo has, for people and for its roles.
inline constexpr std::string_view kDemoClient = "sa_prod_admin_service_11710636";
inline constexpr std::string_view kDemoSecret = "Test-Password123";

/// Tells a role what it is to be in the demonstration, but for what was said on the command line or
/// in the environment: that stands.
class DemoSettings {
 public:
  explicit DemoSettings(config::Settings& settings) : settings_(settings) {}
  /// Errors: those of Settings::put().
  [[nodiscard]] Result<void> say(std::string_view name, std::string value) const {
    return settings_.was_said(name) ? Result<void>()
                                    : settings_.put(name, std::move(value), "demo");
  }

 private:
  config::Settings& settings_;
};

/// daemon/roles/element
const RoleKind& element_role();
/// daemon/roles/admin
const RoleKind& admin_role();
/// daemon/roles/query
const RoleKind& query_role();
/// daemon/roles/ingester
const RoleKind& ingester_role();

}  // namespace artcache
