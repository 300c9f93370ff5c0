// SPDX-License-Identifier: Apache-2.0
// Elements that are found in Redis, under the names of the original (docs/operations/daemon.md).
#pragma once

#include <artcache/metrics.hpp>
#include <chrono>
#include <memory>

#include "common/discovery_names.hpp"
#include "redis/connection.hpp"
#include "roles/element/announcer.hpp"

namespace artcache::element {

/// An element that says nothing for `life` is forgotten. In one step it writes its own key, sums up
/// those that are there, and tells the channel. Counts storage_redis_publish_total.
std::unique_ptr<Registrar> make_redis_registrar(redis::Options options, std::chrono::seconds life,
                                                Metrics& metrics, const Clock& clock);

}  // namespace artcache::element
