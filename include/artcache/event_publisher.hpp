// SPDX-License-Identifier: Apache-2.0
// Tells what changes in an index, as events, to whoever listens: in order, each at least once.
#pragma once

#include <artcache/backends.hpp>
#include <artcache/call.hpp>
#include <artcache/export.hpp>
#include <artcache/file_entry.hpp>
#include <artcache/metadata_store.hpp>
#include <artcache/record.hpp>
#include <artcache/result.hpp>
#include <artcache/timestamp.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace artcache {

enum class EventKind : std::uint8_t {
  created,  ///< an entry that the index did not have before
  updated,
  deleted,
  reset,  ///< more may have changed than can be told: who keeps a copy has to compare it
};
/// The wire name: "file:created", "file:updated", "file:deleted", "log:reset".
ARTCACHE_EXPORT std::string_view to_string(EventKind kind);

struct Event {
  EventKind kind = EventKind::created;
  Position position;                    ///< of the log, after the change
  Timestamp at;                         ///< when it was committed
  std::string key = {};                 ///< the file_id; empty for reset
  std::optional<FileEntry> entry = {};  ///< for created and updated; nothing where it is corrupt
  std::string reason = {};              ///< of a reset, for people
};

/// Where events go. Called by one thread at a time.
class ARTCACHE_EXPORT EventOutlet {
 public:
  virtual ~EventOutlet() = default;
  /// For people, without secrets.
  [[nodiscard]] virtual std::string name() const = 0;
  /// All of them, in their order. After an error some may have been told: all are told again.
  /// Errors: unavailable, timed_out, cancelled, and what the other side answers.
  virtual Result<void> publish(std::span<const Event> events, const Call& call) = 0;
};

struct EventSettings {
  std::string element = "se-01";                  ///< in log lines and labels of metrics
  std::uint32_t batch = 100;                      ///< events told at once
  std::chrono::milliseconds patience{20'000};     ///< of one wait for changes
  std::chrono::milliseconds publish_most{5'000};  ///< for a batch
  std::chrono::milliseconds pause_least{100}, pause_most{5'000};  ///< between tries after errors
  std::chrono::milliseconds save_every{1'000};  ///< how much is told again after a kill
};

struct EventStatus {
  Position position;       ///< as of which everything was told; epoch 0: it has not begun yet
  std::uint64_t lag = 0;   ///< changes that were not told yet, as of the last look
  bool connected = false;  ///< the last batch was told
  std::uint64_t published = 0, failures = 0, resets = 0;
  std::string last_error;  ///< stays after it was overcome
  std::optional<Timestamp> published_at;
};

/// Follows the log of an index and tells an outlet of each change. How far it has come is kept in a
/// note of the index: a restart goes on there, and may repeat the last second. One that never ran
/// on this index begins at its head. When the log does not reach back to where it stopped (trimmed,
/// restored from a copy), it tells a reset and goes on at the head. While the outlet does not
/// answer nothing is lost and nobody else waits. Safe to call from any thread; one run() at a time,
/// and one publisher for an index.
class ARTCACHE_EXPORT EventPublisher {
 public:
  /// Both must outlive it.
  EventPublisher(MetadataStore& index, EventOutlet& outlet, EventSettings settings,
                 const Deps& deps);
  ~EventPublisher();
  EventPublisher(const EventPublisher&) = delete;
  EventPublisher& operator=(const EventPublisher&) = delete;

  /// Until the call ends; errors are tried again, later and later. Errors: cancelled, timed_out.
  Result<void> run(const Call& call);
  [[nodiscard]] EventStatus status() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace artcache
