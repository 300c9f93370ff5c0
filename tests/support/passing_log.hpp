// SPDX-License-Identifier: Apache-2.0
// A log source that passes on what another one tells, for tests that change some of it.
#pragma once

#include <algorithm>
#include <artcache/follower.hpp>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace artcache::test {

/// `from` is somebody else's, and outlives it.
class PassingLog : public LogSource {
 public:
  explicit PassingLog(LogSource& from) : from_(from) {}
  [[nodiscard]] std::string name() const override { return from_.name(); }
  Result<IndexHead> head(const Call& call) override { return from_.head(call); }
  Result<LogSlice> read_after(const Position& position, std::uint32_t limit,
                              std::chrono::nanoseconds patience, const Call& call) override {
    return from_.read_after(position, limit, patience, call);
  }
  Result<Position> snapshot(const RecordSink& sink, const Call& call) override {
    return from_.snapshot(sink, call);
  }
  Result<std::vector<BucketDigest>> bucket_digests(unsigned bits, Position* position,
                                                   const Call& call) override {
    return from_.bucket_digests(bits, position, call);
  }
  Result<std::vector<BucketDigest>> some_digests(unsigned bits,
                                                 std::span<const std::uint32_t> wanted,
                                                 const Call& call) override {
    return from_.some_digests(bits, wanted, call);
  }
  Result<void> keys(unsigned bits, std::span<const std::uint32_t> buckets, const KeySink& sink,
                    const Call& call) override {
    return from_.keys(bits, buckets, sink, call);
  }
  Result<std::vector<std::optional<Record>>> records(std::span<const std::string> keys,
                                                     const Call& call) override {
    return from_.records(keys, call);
  }

 private:
  LogSource& from_;
};

/// A log of somebody who may be away.
class RemoteLog final : public PassingLog {
 public:
  RemoteLog(LogSource& log, const std::atomic<bool>& away) : PassingLog(log), away_(away) {}
  Result<IndexHead> head(const Call& call) override {
    if (away_) return Error{Errc::unavailable, "the element does not answer"};
    return PassingLog::head(call);
  }
  Result<LogSlice> read_after(const Position& position, std::uint32_t limit,
                              std::chrono::nanoseconds patience, const Call& call) override {
    if (away_) return Error{Errc::unavailable, "the element does not answer"};
    return PassingLog::read_after(position, limit, std::min(patience, kLook), call);
  }

 private:
  /// Until it sees that it is away.
  static constexpr std::chrono::nanoseconds kLook = std::chrono::milliseconds(20);
  const std::atomic<bool>& away_;
};

/// Passes everything on, but spoils the payload of one key, perhaps not where it is asked for by
/// that key.
class SpoilingLog : public PassingLog {
 public:
  enum class Where : std::uint8_t { everywhere, not_by_key };
  SpoilingLog(LogSource& real, std::string key, Where where = Where::everywhere)
      : PassingLog(real), by_key(where == Where::everywhere), key_(std::move(key)) {}
  Result<LogSlice> read_after(const Position& position, std::uint32_t limit,
                              std::chrono::nanoseconds patience, const Call& call) override {
    auto slice = PassingLog::read_after(position, limit, patience, call);
    if (slice)
      for (LogRow& row : slice->rows) spoil(row.record);
    return slice;
  }
  Result<Position> snapshot(const RecordSink& sink, const Call& call) override {
    return PassingLog::snapshot(
        [&](std::span<const Record> records) {
          std::vector<Record> spoiled(records.begin(), records.end());
          for (Record& record : spoiled) spoil(record);
          return sink(spoiled);
        },
        call);
  }
  Result<std::vector<std::optional<Record>>> records(std::span<const std::string> keys,
                                                     const Call& call) override {
    auto found = PassingLog::records(keys, call);
    if (found && by_key)
      for (auto& record : *found)
        if (record) spoil(*record);
    return found;
  }
  std::atomic<bool> by_key;

 private:
  void spoil(Record& record) const {
    if (record.key == key_ && !record.payload.empty()) record.payload.back() ^= 1;
  }
  std::string key_;
};

}  // namespace artcache::test
