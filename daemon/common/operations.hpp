// SPDX-License-Identifier: Apache-2.0
// What every site has for those who run it: /health/live, /health/ready, /health/startup, /metrics
// (and /health/metrics), and /openapi.json.
#pragma once

#include <artcache/call.hpp>
#include <artcache/clock.hpp>
#include <functional>
#include <string>
#include <vector>

#include "common/metrics_registry.hpp"
#include "http/site.hpp"

namespace artcache {

/// A part that must work for the role to be ready, as /health/ready shows it.
struct HealthPart {
  std::string name;   ///< "index", "storage", "redis"
  std::string state;  ///< "ok", or what is wrong, in a few words
  bool works = true;  ///< false: the role is not ready, 503
};

using HealthCheck = std::function<std::vector<HealthPart>(const Call&)>;

/// Adds these routes, but for those that the site has already. All are open to everybody. The
/// check is asked with a call that ends after a second.
/// What is passed must outlive the site.
void add_operations(http::Site& site, HealthCheck check, const MetricsRegistry& metrics,
                    const Clock& clock);

}  // namespace artcache
