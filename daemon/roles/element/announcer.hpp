// SPDX-License-Identifier: Apache-2.0
// Tells others that an element is there, and how full it is: whoever looks for one in Redis, the
// metrics.
#pragma once

#include <artcache/call.hpp>
#include <artcache/result.hpp>
#include <artcache/timestamp.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "roles/element/element.hpp"
#include "util/mutex.hpp"

namespace artcache::element {

/// An element at one moment.
struct Announcement {
  const ElementSettings* settings = nullptr;  ///< outlives it
  std::string endpoint;                       ///< where it is reached, for other machines
  ElementMode mode = ElementMode::edit;
  Element::Room room;
  Timestamp at;
  std::string_view action = "scheduled";  ///< why it is said: "startup", "updated", "scheduled"
};
/// One JSON object, as facts about it are found in Redis.
std::string to_json(const Announcement& announcement);

/// A place where elements are announced. Called by one thread at a time.
class Registrar {
 public:
  virtual ~Registrar() = default;
  /// For people: "redis", "metrics".
  [[nodiscard]] virtual std::string name() const = 0;
  /// Replaces what was said before. Errors: unavailable, timed_out, and what the place answers.
  virtual Result<void> announce(const Announcement& announcement, const Call& call) = 0;
  /// The element goes away: nobody is to look for it any more. Errors: as announce().
  virtual Result<void> withdraw(const Announcement& last, const Call& call) = 0;
};

/// Gauges of an element, for Prometheus. Never fails.
std::unique_ptr<Registrar> make_meter(Metrics& metrics);

/// Announces an element again and again on a thread of its own, and soon when its mode changes. A
/// place that does not answer holds up neither the element nor the other places for longer than a
/// few seconds; it is tried again, later and later. The log tells when that began and when it
/// ended.
class Announcer {
 public:
  Announcer(Element& element, std::vector<std::unique_ptr<Registrar>> places,
            std::chrono::milliseconds pause);
  ~Announcer() { stop(); }
  Announcer(const Announcer&) = delete;
  Announcer& operator=(const Announcer&) = delete;

  /// `endpoint` is where the element is reached.
  void start(std::string endpoint);
  /// Takes back what was announced, within a few seconds for each place. Once more is nothing.
  void stop();

  /// "ok", or what the place answered last; by its name. Nothing before the first time.
  struct State {
    std::string name, state;
    bool works = true;
  };
  [[nodiscard]] std::vector<State> states() const ARTCACHE_EXCLUDES(mutex_);

 private:
  struct Place {
    std::unique_ptr<Registrar> registrar;
    std::string failure = {};  ///< empty: it answered last time
    Clock::SteadyTime due = {};
    std::chrono::milliseconds pause{0};
    bool told = false;  ///< it knows of this element
  };
  void run(const std::stop_token& stop);
  void pass(const Call& call);
  void settle(Place& place, const Result<void>& done, Clock::SteadyTime now);
  void withdraw();
  Result<Announcement> look(const Call& call) const;
  void log(LogLevel level, std::string_view message, const Place& place,
           std::string_view cause) const;

  Element& element_;
  const std::chrono::milliseconds pause_;
  std::string endpoint_;
  ElementMode last_mode_ = ElementMode::edit;
  std::vector<Place> places_;  ///< of the thread, but for what states_ has of it
  mutable util::Mutex mutex_;
  std::vector<State> states_ ARTCACHE_GUARDED_BY(mutex_);
  std::jthread thread_;
};

}  // namespace artcache::element
