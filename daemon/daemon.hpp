// SPDX-License-Identifier: Apache-2.0
// artcached without its command line: roles made from a plan, served until they are told to stop.
#pragma once

#include <artcache/backends.hpp>
#include <artcache/call.hpp>
#include <artcache/result.hpp>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/folder_hold.hpp"
#include "common/metrics_registry.hpp"
#include "config/plan.hpp"
#include "http/server.hpp"
#include "roles/role.hpp"
#include "util/here.hpp"

namespace artcache {

class Daemon {
 public:
  /// `deps.metrics` must be `metrics`. All of it, and the plan, must outlive the daemon.
  Daemon(const config::Plan& plan, const Deps& deps, const MetricsRegistry& metrics,
         const Backends& backends);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  /// Makes every role, takes every port, starts what runs beside the requests. The call is that of
  /// the whole life: it stops when the process is to end.
  /// Errors: busy (another process works in the folder of an instance), those of the roles and of
  /// Server::listen(); with the instance named.
  Result<void> open(const Call& call);
  /// The same without ports and threads: for who asks for sites() only.
  Result<void> make_roles(const Call& call);

  /// The ports by instance, once it is open.
  [[nodiscard]] const std::map<std::string, std::uint16_t>& ports() const { return ports_; }
  [[nodiscard]] std::vector<std::pair<std::string, http::Site*>> sites() const;

  /// Serves until the call is stopped.
  Result<void> run(const Call& call);
  /// Every role reads its keys and the like anew, and every port its certificate; what fails is
  /// logged, and what was there before stays. Nothing before it is open.
  /// From any one thread.
  void reload();

 private:
  [[nodiscard]] std::string address_of(std::string_view instance) const;
  Result<void> make_one(const config::Instance& instance, const Call& call);
  void tell(LogLevel level, const std::string& message,
            const std::string& source = util::here()) const;

  const config::Plan& plan_;
  Deps deps_;
  const MetricsRegistry& metrics_;
  const Backends& backends_;
  std::map<std::string, std::uint16_t> ports_;
  std::vector<FolderHold> holds_;  // end after the roles, which work there
  std::vector<std::pair<std::string, std::unique_ptr<Role>>> roles_;
  std::atomic<bool> opened_ = false;
  std::unique_ptr<http::Server> server_;  // ends before the roles, whose sites it serves
};

}  // namespace artcache
