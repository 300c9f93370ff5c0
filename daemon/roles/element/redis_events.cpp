// SPDX-License-Identifier: Apache-2.0
#include "roles/element/redis_events.hpp"

#include <algorithm>
#include <array>

#include "util/try.hpp"

namespace artcache::element {
namespace {

/// One command and the texts it is made of.
using Words = std::vector<std::string>;

class RedisOutlet final : public EventOutlet {
 public:
  RedisOutlet(redis::Options options, RedisEventSettings settings, Metrics& metrics)
      : options_(std::move(options)), settings_(std::move(settings)), metrics_(metrics) {}

  [[nodiscard]] std::string name() const override { return options_.describe; }

  Result<void> publish(std::span<const Event> events, const Call& call) override {
    // What Redis closed meanwhile, as a restart does, is noticed here and not by a lost batch.
    if (!connection_ || !connection_->usable()) {
      connection_.reset();
      ARTCACHE_TRY(connection_, redis::Connection::open(options_, call));
    }
    auto done = write(events, call);
    if (!done) connection_.reset();
    return done;
  }

 private:
  Result<void> write(std::span<const Event> events, const Call& call) {
    if (!settings_.stream.empty()) {
      auto kept = keep(events, call);
      const auto count = static_cast<double>(events.size());
      const std::array labels{MetricLabel{"storage_element_id", settings_.element}};
      metrics_.count(
          kept ? "artstore_admin_stream_xadd_total" : "artstore_admin_stream_xadd_failures_total",
          labels, count);
      if (!kept) return std::move(kept).error();
      metrics_.gauge("artstore_admin_stream_length", labels, static_cast<double>(*kept));
    }
    std::vector<Words> commands;
    for (const Event& event : events)
      for (const std::string* channel : channels_of(event.kind))
        if (!channel->empty())
          commands.push_back({"PUBLISH", *channel, event_message(event, settings_.element)});
    if (auto told = send(commands, call); !told) return std::move(told).error();
    return {};
  }

  /// How long the stream is then.
  Result<std::int64_t> keep(std::span<const Event> events, const Call& call) {
    std::vector<Words> commands;
    for (const Event& event : events) {
      Words& words = commands.emplace_back(Words{"XADD", settings_.stream});
      if (settings_.stream_most > 0)
        words.insert(words.end(), {"MAXLEN", "~", std::to_string(settings_.stream_most)});
      words.emplace_back("*");
      for (auto& [name, text] : event_fields(event, settings_.element)) {
        words.push_back(std::move(name));
        words.push_back(std::move(text));
      }
    }
    commands.push_back({"XLEN", settings_.stream});
    ARTCACHE_TRY(const auto replies, send(commands, call));
    return replies.back().integer;
  }

  Result<std::vector<redis::Reply>> send(const std::vector<Words>& commands, const Call& call) {
    std::vector<std::vector<std::string_view>> words;
    words.reserve(commands.size());
    for (const Words& command : commands) words.emplace_back(command.begin(), command.end());
    const std::vector<redis::Args> args(words.begin(), words.end());
    ARTCACHE_TRY(auto replies, connection_->pipeline(args, call));
    for (const redis::Reply& reply : replies)
      if (reply.is(redis::Reply::Kind::error)) return redis::error_of(reply);
    return replies;
  }

  [[nodiscard]] std::vector<const std::string*> channels_of(EventKind kind) const {
    switch (kind) {
      case EventKind::created:
        return {&settings_.created};
      case EventKind::updated:
        return {&settings_.updated};
      case EventKind::deleted:
        return {&settings_.deleted};
      case EventKind::reset:
        break;
    }
    return {&settings_.created, &settings_.updated, &settings_.deleted};
  }

  const redis::Options options_;
  const RedisEventSettings settings_;
  Metrics& metrics_;
  std::unique_ptr<redis::Connection> connection_;
};

}  // namespace

std::unique_ptr<EventOutlet> make_redis_outlet(redis::Options options, RedisEventSettings settings,
                                               Metrics& metrics) {
  return std::make_unique<RedisOutlet>(std::move(options), std::move(settings), metrics);
}

}  // namespace artcache::element
