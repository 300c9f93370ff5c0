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

LogSnapshot::LogSnapshot(MetadataStore& index, std::string prefix,
                         std::shared_ptr<std::atomic<int>> running)
    : index_(index),
      prefix_(std::move(prefix)),
      running_(std::move(running)),
      filler_([this](const std::stop_token& stop) { fill(stop); }) {}

LogSnapshot::~LogSnapshot() {
  filler_.request_stop();
  changed_.notify_all();
  filler_.join();
  --*running_;
}

void LogSnapshot::fill(const std::stop_token& stop) {
  Call call;
  call.stop = stop;
  auto position = index_.snapshot(
      [&](std::span<const Record> records) {
        std::string text;
        for (const Record& record : records)
          if (record.key.starts_with(prefix_)) frames::append_record(text, record);
        return put(std::move(text), stop);
      },
      call);
  Result<void> how;
  if (position) {
    std::string end;
    frames::append_end(end, *position);
    how = put(std::move(end), stop);
  } else {
    how = std::move(position).error();
  }
  const util::MutexLock held(mutex_);
  how_ = std::move(how);
  over_ = true;
  changed_.notify_all();
}

Result<void> LogSnapshot::put(std::string text, const std::stop_token& stop) {
  const util::MutexLock held(mutex_);
  while (ready_.size() >= kReadyMost && !stop.stop_requested()) changed_.wait_for(mutex_, kLook);
  if (stop.stop_requested()) return Error{Errc::cancelled, "log: the snapshot is not read on"};
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
    if (ready_.empty() && !how_) return how_.error();
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
