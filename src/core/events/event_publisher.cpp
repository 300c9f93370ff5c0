// SPDX-License-Identifier: Apache-2.0
#include <artcache/event_publisher.hpp>

#include <algorithm>
#include <array>
#include <artcache/content.hpp>
#include <artcache/follower.hpp>
#include <condition_variable>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "util/here.hpp"
#include "util/try.hpp"

namespace artcache {
namespace {

constexpr std::string_view kNote = "event_position";
constexpr std::string_view kLogger = "events";
/// For keeping the position when the call has ended.
constexpr std::chrono::seconds kAfterwards{2};

}  // namespace

std::string_view to_string(EventKind kind) {
  switch (kind) {
    case EventKind::created:
      return "file:created";
    case EventKind::updated:
      return "file:updated";
    case EventKind::deleted:
      return "file:deleted";
    case EventKind::reset:
      return "log:reset";
  }
  return "";
}

class EventPublisher::Impl {
 public:
  Impl(MetadataStore& index, EventOutlet& outlet, EventSettings settings, const Deps& deps)
      : index_(index),
        source_(make_log_source(index, deps)),
        outlet_(outlet),
        settings_(std::move(settings)),
        deps_(deps) {}

  Result<void> run(const Call& call) {
    std::chrono::nanoseconds pause{0};
    while (true) {
      if (auto ends = call.check("events", *deps_.clock); !ends) {
        if (saved_ != position_) static_cast<void>(save(Call().within(kAfterwards, *deps_.clock)));
        return ends;
      }
      const auto done = step(call);
      if (done) {
        pause = std::chrono::nanoseconds(0);
      } else if (call.check("events", *deps_.clock)) {
        pause = std::clamp<std::chrono::nanoseconds>(pause * 2, settings_.pause_least,
                                                     settings_.pause_most);
        note_failure(done.error(), call);
        wait(pause, call);
      }
    }
  }

  EventStatus status() const {
    const std::scoped_lock held(mutex_);
    return status_;
  }

 private:
  /// Reads and tells one batch, or waits for something to tell.
  Result<void> step(const Call& call) {
    if (position_.epoch == 0) ARTCACHE_CHECK(begin(call));
    ARTCACHE_CHECK(save_when_due(call));
    auto slice = source_->read_after(position_, settings_.batch, patience(), call);
    std::vector<Event> events;
    std::uint64_t head = 0;
    if (slice) {
      head = slice->head.position.seq;
      events = events_of(slice->rows, call);
    } else {
      if (slice.error().code != Errc::gone) return std::move(slice).error();
      ARTCACHE_TRY(const IndexHead now, source_->head(call));
      head = now.position.seq;
      events.push_back({.kind = EventKind::reset,
                        .position = now.position,
                        .at = deps_.clock->now(),
                        .reason = slice.error().message});
    }
    behind(head);
    if (events.empty()) return {};
    ARTCACHE_CHECK(publish(events, call));
    position_ = events.back().position;
    told(events, head);
    return {};
  }

  Result<void> begin(const Call& call) {
    ARTCACHE_TRY(const std::string note, index_.note(kNote, call));
    if (!note.empty()) {
      ARTCACHE_TRY(position_, parse_position(note));
      saved_ = position_;
    } else {
      ARTCACHE_TRY(const IndexHead head, source_->head(call));
      position_ = head.position;
      ARTCACHE_CHECK(save(call));  // else a kill before the first event would forget where it began
    }
    const std::scoped_lock held(mutex_);
    status_.position = position_;
    return {};
  }

  Result<void> save(const Call& call) {
    ARTCACHE_CHECK(index_.set_note(kNote, to_string(position_), 0, call));
    saved_ = position_;
    saved_at_ = deps_.clock->steady();
    return {};
  }

  Result<void> save_when_due(const Call& call) {
    if (saved_ == position_ || deps_.clock->steady() - saved_at_ < settings_.save_every) return {};
    return save(call);
  }

  /// Not longer than until the position is to be kept.
  [[nodiscard]] std::chrono::nanoseconds patience() const {
    if (saved_ == position_) return settings_.patience;
    const auto since = deps_.clock->steady() - saved_at_;
    return std::clamp<std::chrono::nanoseconds>(settings_.save_every - since,
                                                std::chrono::milliseconds(1), settings_.patience);
  }

  std::vector<Event> events_of(std::span<const LogRow> rows, const Call& call) const {
    std::vector<Event> events;
    events.reserve(rows.size());
    Digest before = position_.digest;
    for (const LogRow& row : rows) {
      Event& event = events.emplace_back();
      event.position = row.position;
      event.at = row.committed_at;
      event.key = row.record.key;
      switch (row.kind) {
        case LogRow::Kind::put: {
          event.kind = adds_record(row, before) ? EventKind::created : EventKind::updated;
          auto entry = parse_content(row.record.payload);
          if (entry)
            event.entry = *std::move(entry);
          else
            log(LogLevel::error, "An event has no content", to_string(entry.error()), call);
          break;
        }
        case LogRow::Kind::remove:
          event.kind = EventKind::deleted;
          break;
        case LogRow::Kind::reset:
          event.kind = EventKind::reset;
          event.reason = "more was changed at once than the log tells";
          break;
      }
      before = row.position.digest;
    }
    return events;
  }

  Result<void> publish(std::span<const Event> events, const Call& call) {
    const auto begun = deps_.clock->steady();
    auto done = outlet_.publish(events, call.within(settings_.publish_most, *deps_.clock));
    const double took = std::chrono::duration<double>(deps_.clock->steady() - begun).count();
    std::map<EventKind, double> kinds;
    for (const Event& event : events) ++kinds[event.kind];
    for (const auto& [kind, count] : kinds) {
      const std::array labels{MetricLabel{"event_type", to_string(kind)},
                              MetricLabel{"storage_element_id", settings_.element}};
      deps_.metrics->count(done ? "artstore_admin_events_published_total"
                                : "artstore_admin_events_publish_failures_total",
                           labels, count);
      deps_.metrics->observe("artstore_admin_events_publish_duration_seconds", labels, took);
    }
    return done;
  }

  void told(std::span<const Event> events, std::uint64_t head) {
    for (const Event& event : events) {
      const std::string seq = std::to_string(event.position.seq);
      const LogField fields[] = {{"event_type", to_string(event.kind)},
                                 {"file_id", event.key},
                                 {"seq", seq},
                                 {"element", settings_.element}};
      deps_.logger->log({LogLevel::debug, kLogger, "Event published", fields, {}});
    }
    const LogField fields[] = {{"events", static_cast<std::int64_t>(events.size())},
                               {"element", settings_.element}};
    deps_.logger->log({LogLevel::info, kLogger, "Events published", fields, {}});
    {
      const std::scoped_lock held(mutex_);
      status_.connected = true;
      status_.position = position_;
      status_.published += events.size();
      status_.published_at = deps_.clock->now();
      for (const Event& event : events)
        if (event.kind == EventKind::reset) ++status_.resets;
    }
    behind(head);
  }

  void behind(std::uint64_t head) {
    const std::uint64_t lag = head > position_.seq ? head - position_.seq : 0;
    const std::array labels{MetricLabel{"storage_element_id", settings_.element}};
    deps_.metrics->gauge("artstore_admin_events_lag", labels, static_cast<double>(lag));
    const std::scoped_lock held(mutex_);
    status_.lag = lag;
  }

  void note_failure(const Error& error, const Call& call) {
    const std::string text = to_string(error);
    bool same = false;
    {
      const std::scoped_lock held(mutex_);
      same = !status_.connected && status_.last_error == text;
      status_.connected = false;
      status_.last_error = text;
      ++status_.failures;
    }
    // An outage of an hour is one line.
    log(same ? LogLevel::debug : LogLevel::error, "Events were not published; trying goes on", text,
        call);
  }

  void log(LogLevel level, std::string_view message, std::string_view cause, const Call& call,
           const std::string& source = util::here()) const {
    const LogField fields[] = {
        {"element", settings_.element}, {"cause", cause}, {"source", source}};
    deps_.logger->log({level, kLogger, message, fields, call.request_id});
  }

  void wait(std::chrono::nanoseconds pause, const Call& call) {
    std::unique_lock held(mutex_);
    wake_.wait_for(held, call.stop, std::min(pause, call.remaining(*deps_.clock)),
                   [] { return false; });
  }

  MetadataStore& index_;
  const std::unique_ptr<LogSource> source_;
  EventOutlet& outlet_;
  const EventSettings settings_;
  const Deps deps_;
  Position position_, saved_;  // of the thread in run()
  Clock::SteadyTime saved_at_;
  mutable std::mutex mutex_;
  std::condition_variable_any wake_;
  EventStatus status_;  // guarded by mutex_
};

EventPublisher::EventPublisher(MetadataStore& index, EventOutlet& outlet, EventSettings settings,
                               const Deps& deps)
    : impl_(std::make_unique<Impl>(index, outlet, std::move(settings), deps)) {}
EventPublisher::~EventPublisher() = default;

Result<void> EventPublisher::run(const Call& call) { return impl_->run(call); }
EventStatus EventPublisher::status() const { return impl_->status(); }

}  // namespace artcache
