// SPDX-License-Identifier: Apache-2.0
// What the query role hears in Redis: that an element has changed, and which elements there are.
#pragma once

#include <artcache/backends.hpp>
#include <artcache/url.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "roles/query/naming.hpp"

namespace artcache::query {

struct EarSettings {
  std::vector<std::string> channels;  ///< of events; none: elements are looked for alone
  /// Between two tries to connect. After `tries` in a row it is a minute at least, and the log says
  /// so.
  std::chrono::milliseconds pause{1000};
  std::uint64_t tries = 10;
};

/// Who is told, each on the thread of the ear.
struct EarTells {
  std::function<void(const Heard&)> change;
  /// All elements that Redis names by now. Until it answers again, what it said last holds.
  std::function<void(std::vector<Owner>)> elements;
  /// It listens again: what was said meanwhile was not heard.
  std::function<void()> connected;
};

/// Listens on a thread of its own from start() to stop(), and connects again whenever Redis is
/// back. Nothing depends on it but how soon something is known.
class Ear {
 public:
  virtual ~Ear() = default;
  virtual void start() = 0;
  virtual void stop() = 0;
  /// "ok", or why nothing is heard.
  [[nodiscard]] virtual std::string state() const = 0;
};

/// Gauges artstore_query_redis_connection_status. Errors: invalid_argument (no such address),
/// unsupported (left out of this build).
Result<std::unique_ptr<Ear>> make_redis_ear(const Url& redis, EarSettings settings, EarTells tells,
                                            const Deps& deps);

}  // namespace artcache::query
