// SPDX-License-Identifier: Apache-2.0
#include "roles/query/redis_ear.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <thread>
#include <utility>

#include "common/discovery_names.hpp"
#if ARTCACHE_WITH_REDIS
#include "redis/connection.hpp"
#endif
#include "util/here.hpp"
#include "util/mutex.hpp"
#include "util/try.hpp"

namespace artcache::query {

#if ARTCACHE_WITH_REDIS
namespace {

using redis::Reply;

/// How often the elements are looked at although nobody tells of them: one that is killed says
/// nothing. Whether Redis still answers is noticed by this, too.
constexpr std::chrono::seconds kLookEvery{5};
constexpr std::chrono::seconds kSlowPause{60};

/// A text, or nothing when there is none under that key.
Result<std::optional<std::string>> text_of(Reply reply) {
  if (reply.is(Reply::Kind::nil)) return std::optional<std::string>();
  if (reply.is(Reply::Kind::error)) return redis::error_of(reply);
  return std::optional(std::move(reply.text));
}

/// An element is there as long as its own key is. One that never had such a key, as those of the
/// original, is there as long as the sum of all names it.
Result<std::vector<Owner>> find_elements(redis::Client& client, const Call& call) {
  std::vector<Owner> out;
  const std::array<std::string_view, 2> members{"SMEMBERS", kElementIdsKey};
  ARTCACHE_TRY(const Reply ids, client.command(members, call));
  if (!ids.items.empty()) {
    std::vector<std::string> keys;
    for (const Reply& id : ids.items) keys.push_back(std::string(kElementKey).append(id.text));
    std::vector<std::string_view> get{"MGET"};
    get.insert(get.end(), keys.begin(), keys.end());
    ARTCACHE_TRY(const Reply values, client.command(get, call));
    for (const Reply& value : values.items)
      if (auto one = parse_element(value.text)) out.push_back(*std::move(one));
  }
  const std::array<std::string_view, 2> sum{"GET", kElementsKey};
  ARTCACHE_TRY(Reply reply, client.command(sum, call));
  ARTCACHE_TRY(const auto text, text_of(std::move(reply)));
  if (!text) return out;
  ARTCACHE_TRY(auto listed, parse_registry(*text));
  for (Owner& one : listed) {
    const auto same_id = [&](const Reply& id) { return id.text == one.element; };
    if (std::ranges::none_of(ids.items, same_id)) out.push_back(std::move(one));
  }
  return out;
}

class RedisEar final : public Ear {
 public:
  RedisEar(redis::Options options, EarSettings settings, EarTells tells, const Deps& deps)
      : client_(std::move(options)),
        settings_(std::move(settings)),
        tells_(std::move(tells)),
        deps_(deps) {}
  ~RedisEar() override { stop(); }
  RedisEar(const RedisEar&) = delete;
  RedisEar& operator=(const RedisEar&) = delete;

  void start() override {
    if (!thread_.joinable()) thread_ = std::jthread([this](std::stop_token stop) { run(stop); });
  }
  void stop() override {
    if (!thread_.joinable()) return;
    thread_.request_stop();
    {
      const util::MutexLock lock(mutex_);
      wake_.notify_all();
    }
    thread_.join();
  }
  [[nodiscard]] std::string state() const override {
    const util::MutexLock lock(mutex_);
    return state_;
  }

 private:
  void run(const std::stop_token& stop) {
    Call call;
    call.stop = stop;
    note(Error{Errc::unavailable, "not connected yet"});
    while (!stop.stop_requested()) {
      const auto done = listen(call);
      if (stop.stop_requested()) return;
      complain(done.error());
      note(done);
      const util::MutexLock lock(mutex_);
      if (!stop.stop_requested()) wake_.wait_for(mutex_, pause());
    }
  }

  /// Until Redis does not answer any more.
  Result<void> listen(const Call& call) {
    ARTCACHE_TRY(const auto connection, client_.open(call));
    std::vector<std::string_view> channels{kDiscoveryChannel};
    channels.insert(channels.end(), settings_.channels.begin(), settings_.channels.end());
    ARTCACHE_CHECK(connection->subscribe(channels, call));
    ARTCACHE_CHECK(look(call));
    if (std::exchange(failures_, 0) > 0) log(LogLevel::info, "Redis answers again", {});
    note({});
    tells_.connected();
    Clock::SteadyTime due = deps_.clock->steady() + kLookEvery;
    while (true) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(due - deps_.clock->steady());
      if (left.count() > 0) {
        ARTCACHE_TRY(const auto message, connection->next_message(left, call));
        if (message && message->channel != kDiscoveryChannel) {
          if (const auto heard = parse_event(message->text)) tells_.change(*heard);
          continue;
        }
      }
      ARTCACHE_CHECK(look(call));
      due = deps_.clock->steady() + kLookEvery;
    }
  }

  Result<void> look(const Call& call) {
    ARTCACHE_TRY(auto elements, find_elements(client_, call));
    tells_.elements(std::move(elements));
    return {};
  }

  [[nodiscard]] std::chrono::milliseconds pause() const {
    return failures_ < settings_.tries
               ? settings_.pause
               : std::max<std::chrono::milliseconds>(settings_.pause, kSlowPause);
  }

  void note(const Result<void>& connected) {
    const std::pair<std::string_view, double> words[]{{"connected", connected ? 1 : 0},
                                                      {"disconnected", connected ? 0 : 1}};
    for (const auto& [word, value] : words) {
      const std::array labels{MetricLabel{"status", word}};
      deps_.metrics->gauge("artstore_query_redis_connection_status", labels, value);
    }
    const util::MutexLock lock(mutex_);
    state_ = connected ? "ok" : std::string(to_string(connected.error().code));
  }

  void complain(const Error& error) {
    ++failures_;
    if (failures_ == 1)
      log(LogLevel::warning, "Redis does not answer; changes arrive by the long poll", &error);
    else if (failures_ == settings_.tries)
      log(LogLevel::error, "Redis still does not answer; it is tried once a minute now", &error);
  }

  void log(LogLevel level, std::string_view message, const Error* error,
           const std::string& source = util::here()) const {
    const std::string& place = client_.options().describe;
    const LogField fields[]{{"redis", std::string_view(place)},
                            {"reason", error == nullptr ? std::string_view() : error->message},
                            {"source", std::string_view(source)}};
    deps_.logger->log({.level = level,
                       .logger = "query_redis",
                       .message = message,
                       .fields = std::span(fields).first(error == nullptr ? 1 : 3),
                       .request_id = {}});
  }

  redis::Client client_;
  const EarSettings settings_;
  const EarTells tells_;
  const Deps deps_;
  std::uint64_t failures_ = 0;  // in a row; of the thread
  mutable util::Mutex mutex_;
  util::CondVar wake_;
  std::string state_ ARTCACHE_GUARDED_BY(mutex_) = "unavailable";
  std::jthread thread_;
};

}  // namespace

Result<std::unique_ptr<Ear>> make_redis_ear(const Url& redis, EarSettings settings, EarTells tells,
                                            const Deps& deps) {
  ARTCACHE_TRY(auto options, redis::options_of(redis, *deps.clock));
  return std::unique_ptr<Ear>(
      std::make_unique<RedisEar>(std::move(options), std::move(settings), std::move(tells), deps));
}
#else
Result<std::unique_ptr<Ear>> make_redis_ear(const Url&, EarSettings, EarTells, const Deps&) {
  return Error{Errc::unsupported, "redis: not compiled in: build with ARTCACHE_WITH_REDIS"};
}
#endif

}  // namespace artcache::query
