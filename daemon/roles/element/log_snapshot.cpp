// SPDX-License-Identifier: Apache-2.0
#include "roles/element/log_snapshot.hpp"

#include <artcache/log_frames.hpp>

#include <algorithm>
#include <cstring>
#include <utility>

#include "util/try.hpp"

namespace artcache::element {
namespace {

constexpr std::size_t kReadyMost = 4 * 1024 * 1024;
// So often a reader or a filler looks whether it is still wanted, should nobody wake it.
constexpr std::chrono::milliseconds kLook{100};

}  // namespace

LogSnapshot::LogSnapshot(MetadataStore& index, std::string prefix, SnapshotPlace place,
                         SnapshotLimit limit)
    : index_(index),
      prefix_(std::move(prefix)),
      place_(std::move(place)),
      limit_(limit),
      filler_([this](const std::stop_token& stop) { fill(stop); }) {}

LogSnapshot::~LogSnapshot() {
  filler_.request_stop();
  changed_.notify_all();
  filler_.join();
}

void LogSnapshot::fill(const std::stop_token& stop) {
  Call call;
  call.stop = stop;
  if (limit_.time.count() > 0) call = call.within(limit_.time, *limit_.clock);
  auto how = fill_by(call);
  if (!how && call.remaining(*limit_.clock).count() == 0)
    how = Error{Errc::timed_out, "log: the snapshot was not read to its end within snapshot_limit"};
  const util::MutexLock held(mutex_);
  how_ = std::move(how);
  over_ = true;
  changed_.notify_all();
}

Result<void> LogSnapshot::fill_by(const Call& call) {
  const auto position = index_.snapshot(
      [&](std::span<const Record> records) {
        std::string text;
        for (const Record& record : records)
          if (record.key.starts_with(prefix_)) frames::append_record(text, record);
        return put(std::move(text), call);
      },
      call);
  if (!position) return position.error();
  std::string end;
  frames::append_end(end, *position);
  return put(std::move(end), call);
}

Result<void> LogSnapshot::put(std::string text, const Call& call) {
  const util::MutexLock held(mutex_);
  ARTCACHE_CHECK(call.check("log: the snapshot", *limit_.clock));
  while (ready_.size() >= kReadyMost) {
    changed_.wait_for(mutex_, kLook);
    ARTCACHE_CHECK(call.check("log: the snapshot", *limit_.clock));
  }
  ready_.append(text);
  changed_.notify_all();
  return {};
}

Result<std::size_t> LogSnapshot::read(std::span<std::byte> into, const Call& call) {
  if (at_ == taken_.size()) {
    const util::MutexLock held(mutex_);
    while (ready_.empty() && !over_) {
      ARTCACHE_CHECK(call.check("log"));
      changed_.wait_for(mutex_, kLook);
    }
    // What is ready of one that failed helps nobody, and a slow client would hold its place on.
    if (over_ && !how_) return how_.error();
    taken_.clear();
    at_ = 0;
    std::swap(taken_, ready_);
    changed_.notify_all();
  }
  const std::size_t size = std::min(into.size(), taken_.size() - at_);
  std::memcpy(into.data(), taken_.data() + at_, size);
  at_ += size;
  return size;
}

}  // namespace artcache::element
