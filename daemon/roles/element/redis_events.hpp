// SPDX-License-Identifier: Apache-2.0
// Events of an element in Redis, as docs/formats/events.md has them.
#pragma once

#include <artcache/event_publisher.hpp>
#include <artcache/metrics.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "redis/connection.hpp"

namespace artcache::element {

struct RedisEventSettings {
  std::string element = "se-01";
  std::string created = "file:created", updated = "file:updated",
              deleted = "file:deleted";  ///< channels
  std::string stream = "file-events";    ///< empty: none
  std::uint64_t stream_most = 100'000;   ///< about so many are kept; 0: all
};

/// What a channel hears: one JSON object.
std::string event_message(const Event& event, std::string_view element);
/// What the stream keeps: names and texts, flat.
std::vector<std::pair<std::string, std::string>> event_fields(const Event& event,
                                                              std::string_view element);

/// Writes to the stream first and to the channels once the stream has it, each in one go; a reset
/// goes to all channels. Counts artstore_admin_stream_*.
std::unique_ptr<EventOutlet> make_redis_outlet(redis::Options options, RedisEventSettings settings,
                                               Metrics& metrics);

}  // namespace artcache::element
