// SPDX-License-Identifier: Apache-2.0
// The storage elements as they are now: where they are is told, how they are is asked of them.
#pragma once

#include <artcache/backends.hpp>
#include <artcache/call.hpp>
#include <artcache/result.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "common/answering.hpp"
#include "roles/ingester/selection.hpp"
#include "util/mutex.hpp"
#include "web/http_client.hpp"

namespace artcache::ingester {

/// What an element says of itself at /api/v1/info. Errors: corrupt.
Result<ElementView> parse_element_info(std::string_view json, std::string_view url);
/// The addresses in the admin's list. Errors: corrupt.
Result<std::vector<std::string>> parse_element_list(std::string_view json);

/// Says where elements are. When it fails, what it said last holds.
struct ElementSource {
  using News = std::function<void()>;
  std::string name;  ///< for the log: "settings", "admin"
  std::function<Result<std::vector<std::string>>(const Call&)> addresses;
  /// Waits for news of elements and tells of each, and once when it has begun to hear: what was
  /// told before is for addresses(). Returns only with an error. Empty: nobody tells.
  std::function<Result<void>(const News& tell, const Call&)> listen = {};
};

struct ElementsSettings {
  std::chrono::nanoseconds poll_every = std::chrono::seconds(10);
  std::chrono::nanoseconds poll_most = std::chrono::seconds(3);  ///< for the answer of one element
  /// One that nobody has heard of for so long is not selectable, whatever it said last.
  std::chrono::nanoseconds trust = std::chrono::seconds(90);
  /// While one asks, the others go by what was known so long ago.
  std::chrono::nanoseconds known_most = std::chrono::seconds(60);
};

/// Safe to use from any thread.
class Elements {
 public:
  Elements(ElementsSettings settings, std::vector<ElementSource> sources, web::HttpClient& http,
           const Deps& deps);
  ~Elements() { stop(); }
  Elements(const Elements&) = delete;
  Elements& operator=(const Elements&) = delete;

  /// Asks from now on, on a thread of its own, now and then and when a source has news; beside it
  /// runs one for each source that listens. Once.
  void start();
  void stop();

  /// Those that ever answered and are still named by a source. None before all were asked once: who
  /// knew only some would send files to the wrong one.
  [[nodiscard]] std::vector<ElementView> now() const;
  /// Whether every source has said what it knows and every element it names has answered at some
  /// time: if not, now() may lack one.
  [[nodiscard]] bool complete() const;
  [[nodiscard]] std::optional<ElementView> find(std::string_view id) const;
  /// How it went with each source when it was asked last.
  struct SourceState {
    std::string name, state;
  };
  [[nodiscard]] std::vector<SourceState> sources() const;
  /// Asks all of them at once, unless somebody just did; for who found none that fits. While
  /// somebody else asks, what is known counts, and waits only who would go by what is too old.
  void refresh(const Call& call);

  /// It was found dead: not selectable until it answers again.
  void note_dead(std::string_view id);
  /// So many bytes went there since it was asked last.
  void note_stored(std::string_view id, std::uint64_t bytes);

 private:
  struct Known {
    ElementView view;
    Clock::SteadyTime heard{};
  };
  /// Of whoever has it: gives it back, also when asking throws.
  class Turn {
   public:
    explicit Turn(Elements& elements) : elements_(elements) {}
    ~Turn();
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    Elements& elements_;
  };
  void run(std::stop_token stop);
  void listen(const ElementSource& source, std::stop_token stop);
  [[nodiscard]] bool polled_within(std::chrono::nanoseconds time) const ARTCACHE_REQUIRES(mutex_);
  /// The following for whoever has the turn.
  void poll(const Call& call);
  void ask_all(const Call& call);
  std::set<std::string> addresses(const Call& call);
  Result<ElementView> ask(const std::string& url, const Call& call) const;
  void note(const std::string& url, const Result<ElementView>& said);
  void log(LogLevel level, std::string_view message, std::string_view url,
           std::string_view reason) const;

  const ElementsSettings settings_;
  const std::vector<ElementSource> sources_;
  web::HttpClient& http_;
  const Deps deps_;
  std::deque<Answering> answering_;                            ///< one for each source; never moved
  std::vector<std::optional<std::vector<std::string>>> told_;  ///< of whoever has the turn
  mutable util::Mutex mutex_;
  util::CondVar wake_;
  util::CondVar turn_;                               ///< is free
  bool asking_ ARTCACHE_GUARDED_BY(mutex_) = false;  ///< somebody has the turn
  std::optional<Clock::SteadyTime> polled_ ARTCACHE_GUARDED_BY(mutex_);
  std::map<std::string, Known> known_ ARTCACHE_GUARDED_BY(mutex_);  ///< by address
  bool complete_ ARTCACHE_GUARDED_BY(mutex_) = false;               ///< after the last round
  bool news_ ARTCACHE_GUARDED_BY(mutex_) = false;                   ///< since the last round
  std::vector<std::jthread> threads_;
};

}  // namespace artcache::ingester
