// SPDX-License-Identifier: Apache-2.0
// What the parts of the ingester share.
#pragma once

#include <artcache/backends.hpp>
#include <artcache/call.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "auth/guard.hpp"
#include "http/site.hpp"
#include "roles/ingester/element_client.hpp"
#include "roles/ingester/elements.hpp"
#include "roles/ingester/tables.hpp"

namespace artcache::ingester {

struct Options {
  std::uint64_t upload_most = std::uint64_t{1} << 40;  ///< bytes of one file
  /// So much of a file is kept until an element has taken it: while no more than that was sent,
  /// another element can be tried.
  std::size_t spool = 1024 * 1024;
  std::uint32_t attempts = 3;  ///< elements that are tried for one file
  FillThresholds thresholds = {};
  /// When a copy of which nobody knows whether it was taken is removed: then its element is
  /// either dead or done with it.
  std::chrono::microseconds doubt = std::chrono::minutes(5);
  std::uint32_t finalize_attempts = 10;  ///< of one step
  /// How long the source is readable beside the copy.
  std::chrono::microseconds finalize_cleanup_after = std::chrono::hours(24);
  /// How long one that has ended is remembered; 0: for ever.
  std::chrono::microseconds finalize_lifetime = std::chrono::hours(24 * 30);
  std::chrono::nanoseconds finalize_wait = std::chrono::seconds(30);  ///< of one request
  std::size_t finalize_waits_most = 8;  ///< so many requests at a time wait, each with a worker
};

/// Lives as long as the role; everything it points to lives longer.
struct Parts {
  Options options;
  Deps deps;
  Elements* elements = nullptr;
  ElementClient* client = nullptr;
  db::Database* database = nullptr;
  auth::Gate* gate = nullptr;
};

/// Errors: those of Site::add().
Result<void> add_upload_routes(http::Site& site, Parts& parts);

/// For what is written down although whoever began it may have stopped; not for ever.
inline Call last_word(const Deps& deps) {
  return Call{}.within(std::chrono::seconds(10), *deps.clock);
}

/// 503 in the words of the original, with Retry-After.
http::Response none_available(const Error& why);

}  // namespace artcache::ingester
