// SPDX-License-Identifier: Apache-2.0
// A log source that somebody else owns.
#pragma once

#include <artcache/follower.hpp>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace artcache::test {

/// What an index tells, for who wants to own where it is read from.
class Borrowed final : public LogSource {
 public:
  explicit Borrowed(LogSource& from) : from_(from) {}
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

}  // namespace artcache::test
