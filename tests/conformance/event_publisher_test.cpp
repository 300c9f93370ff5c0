// SPDX-License-Identifier: Apache-2.0
// Every change of an index is told as an event, in order, whatever the other side does.
#include <artcache/event_publisher.hpp>
#include <chrono>
#include <thread>

#include "conformance/index_suite.hpp"
#include "support/sample_entry.hpp"
#include "support/temp_dir.hpp"
#include "util/mutex.hpp"

using namespace artcache;
using namespace artcache::test;

namespace {

using namespace std::chrono_literals;

void put(MetadataStore& index, std::uint64_t n, const std::string& text = "first") {
  FileEntry entry = sample_entry(n);
  entry.description = text;
  const EntryChange change = put_of(std::move(entry));
  good(index.apply({.changes = {&change, 1}}, {}));
}

void remove(MetadataStore& index, std::uint64_t n) {
  const EntryChange change = remove_of(sample_id(n));
  good(index.apply({.changes = {&change, 1}}, {}));
}

/// Notes what it is told; fails while it is away, after it has taken a part of it.
class Listener final : public EventOutlet {
 public:
  [[nodiscard]] std::string name() const override { return "listener"; }
  Result<void> publish(std::span<const Event> events, const Call&) override {
    const util::MutexLock held(mutex_);
    changed_.notify_all();
    if (away_) {
      heard_.push_back(events.front());
      return Error{Errc::unavailable, "nobody listens"};
    }
    heard_.insert(heard_.end(), events.begin(), events.end());
    return {};
  }
  void be_away(bool away) {
    const util::MutexLock held(mutex_);
    away_ = away;
    heard_.clear();
  }
  /// Waits until so many were told.
  std::vector<Event> until(std::size_t count) {
    const util::MutexLock held(mutex_);
    while (heard_.size() < count) changed_.wait(mutex_);
    return heard_;
  }

 private:
  util::Mutex mutex_;
  util::CondVar changed_;
  std::vector<Event> heard_ ARTCACHE_GUARDED_BY(mutex_);
  bool away_ ARTCACHE_GUARDED_BY(mutex_) = false;
};

std::string kinds(const std::vector<Event>& events) {
  std::string text;
  for (const Event& event : events) text.append(to_string(event.kind)).append(" ");
  return text;
}

/// A publisher on a thread of its own, for as long as it lives.
class Running {
 public:
  Running(MetadataStore& index, EventOutlet& outlet, EventSettings settings = {})
      : publisher_(index, outlet, with_quick_pauses(std::move(settings)), {}),
        thread_([this](std::stop_token stop) {
          Call call;
          call.stop = std::move(stop);
          ended_ = publisher_.run(call);
        }) {
    while (publisher_.status().position.epoch == 0) std::this_thread::yield();
  }
  EventPublisher& operator*() { return publisher_; }
  Result<void> stop() {
    thread_.request_stop();
    thread_.join();
    return ended_;
  }

 private:
  static EventSettings with_quick_pauses(EventSettings settings) {
    settings.pause_least = 1ms;
    settings.pause_most = 5ms;
    return settings;
  }
  EventPublisher publisher_;
  Result<void> ended_;
  std::jthread thread_;
};

struct Place {
  std::unique_ptr<MetadataStore> open(const std::string& extra = {}) const {
    return open_index("sqlite://" + dir.path() + "/source.db?" + extra);
  }
  TempDir dir;
};

TEST_CASE("each change is one event, with its entry and its place in the log") {
  const Place place;
  const auto index = place.open();
  put(*index, 1);  // before it ever ran: not told
  Listener listener;
  Running running(*index, listener);
  put(*index, 2);
  put(*index, 2, "second");
  put(*index, 1, "second");
  remove(*index, 2);
  put(*index, 2);
  const auto heard = listener.until(5);
  CHECK(kinds(heard) == "file:created file:updated file:updated file:deleted file:created ");
  for (std::size_t i = 0; i < heard.size(); ++i) CHECK(heard[i].position.seq == 2 + i);
  CHECK(heard[0].key == to_string(sample_id(2)));
  REQUIRE(heard[1].entry);
  CHECK(heard[1].entry->description == "second");
  CHECK_FALSE(heard[3].entry);
  CHECK(heard[4].position == good(index->head({})).position);
  const auto ended = running.stop();
  REQUIRE_FALSE(ended);
  CHECK(ended.error().code == Errc::cancelled);
}

TEST_CASE("while nobody listens nothing is lost, and writers go on") {
  const Place place;
  const auto index = place.open();
  Listener listener;
  listener.be_away(true);
  Running running(*index, listener, {.batch = 7});
  for (std::uint64_t n = 0; n < 50; ++n) put(*index, n);
  listener.until(3);
  CHECK((*running).status().connected == false);
  CHECK((*running).status().last_error.find("nobody listens") != std::string::npos);
  CHECK((*running).status().lag > 0);
  listener.be_away(false);
  const auto heard = listener.until(50);
  REQUIRE(heard.size() == 50);
  for (std::size_t i = 0; i < 50; ++i) CHECK(heard[i].position.seq == i + 1);
  while ((*running).status().published < 50) std::this_thread::yield();
  while ((*running).status().lag != 0) std::this_thread::yield();
  CHECK((*running).status().connected);
}

TEST_CASE("a restart goes on where the last one stopped") {
  const Place place;
  const auto index = place.open();
  Listener listener;
  {
    Running running(*index, listener);
    put(*index, 1);
    listener.until(1);
    static_cast<void>(running.stop());
  }
  put(*index, 2);
  {
    Running running(*index, listener);
    CHECK(listener.until(2)[1].position.seq == 2);
  }
  SUBCASE("also one that was never reached by anybody") {
    listener.be_away(true);
    const auto other = open_index("sqlite://" + place.dir.path() + "/other.db");
    {
      Running running(*other, listener);
      put(*other, 3);
      listener.until(1);
    }
    listener.be_away(false);
    Running running(*other, listener);
    CHECK(listener.until(1)[0].position.seq == 1);
  }
}

TEST_CASE("a log that does not reach back is a reset, and it goes on behind it") {
  const Place place;
  Listener listener;
  {
    const auto index = place.open();
    put(*index, 1);
    good(index->set_note("event_position", "00000000000000ff/9/" + std::string(32, '0'), 0, {}));
    Running running(*index, listener);
    const auto heard = listener.until(1);
    CHECK(heard[0].kind == EventKind::reset);
    CHECK_FALSE(heard[0].reason.empty());
    CHECK(heard[0].position == good(index->head({})).position);
    put(*index, 2);
    CHECK(kinds(listener.until(2)) == "log:reset file:created ");
    while ((*running).status().published < 2) std::this_thread::yield();
    CHECK((*running).status().resets == 1);
  }
}

}  // namespace
