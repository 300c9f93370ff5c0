// SPDX-License-Identifier: Apache-2.0
// An index that follows its storage: what is asked of CacheRebuildService::watch(), what it tells.
#pragma once

#include <artcache/change_notices.hpp>
#include <artcache/export.hpp>
#include <artcache/json_writer.hpp>
#include <artcache/timestamp.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace artcache {

/// One thing that happened while an index followed its storage.
struct WatchEvent {
  enum class Kind : std::uint8_t {
    began,      ///< changes are told of from now on; `message`: why there will be rescans alone
    applied,    ///< changed sidecars were looked at
    rescanned,  ///< a folder was compared with the index
    lost,       ///< notices were lost: the index is suspect until `trusted`
    trusted,    ///< what was lost has been made up for
    retrying,   ///< what was tried last did not succeed, and will be tried again
  };
  Kind kind = Kind::began;
  Timestamp at = {};
  std::chrono::nanoseconds took{0};  ///< applied, rescanned
  std::string folder = {};           ///< rescanned; "" is the whole storage
  std::string message = {};          ///< why; for `rescanned` what was not seen, empty when all was
  std::uint64_t sidecars = 0;        ///< looked at
  std::uint64_t inserted = 0, changed = 0, removed = 0;
  std::uint64_t unreadable = 0;  ///< sidecars that say nothing; their entries were left alone
  std::uint64_t pending = 0;     ///< paths that are still to be looked at; 0: in step
};
/// The wire name: "began", …
ARTCACHE_EXPORT std::string_view to_string(WatchEvent::Kind kind);
/// The members of one JSON object, inside an object that the caller has begun.
ARTCACHE_EXPORT void append_members(JsonWriter& json, const WatchEvent& event);

/// Called on the thread of watch().
using WatchSink = std::function<void(const WatchEvent&)>;

struct WatchRequest {
  WatchLimits limits = {};
  /// The whole storage is compared this often, too: needed where it tells of no changes (s3://),
  /// or not of all (network file systems). Zero: only when that is needed to begin, or to make up
  /// for notices that were lost.
  std::chrono::nanoseconds rescan_every{0};
  WatchSink on_event = {};
};

struct WatchStatus {
  bool running = false;     ///< somebody is in watch()
  bool by_notices = false;  ///< false while it runs: by rescans alone, `message` says why
  bool suspect = false;     ///< notices were lost, and have not been made up for yet
  std::string message = {};
  std::uint64_t pending = 0;  ///< paths that are still to be looked at
  std::uint64_t sidecars = 0, inserted = 0, changed = 0, removed = 0;  ///< since it began
  std::uint64_t rescans = 0, losses = 0, retries = 0;
  Timestamp caught_up_at = {};  ///< when nothing was pending last
};

}  // namespace artcache
