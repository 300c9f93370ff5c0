// SPDX-License-Identifier: Apache-2.0
// The log of an index that is open in this process, as a follower reads it.
#include <artcache/content.hpp>
#include <artcache/follower.hpp>

#include "core/sync/buckets.hpp"
#include "util/try.hpp"

namespace artcache {
namespace {

constexpr std::string_view kRewound =
    "it was put back to an older state: a replica has seen later changes";

class LocalSource final : public LogSource {
 public:
  LocalSource(MetadataStore& index, const Deps& deps) : index_(index), clock_(deps.clock) {}

  [[nodiscard]] std::string name() const override { return index_.describe(); }
  Result<IndexHead> head(const Call& call) override { return index_.head(call); }

  Result<LogSlice> read_after(const Position& position, std::uint32_t limit,
                              std::chrono::nanoseconds patience, const Call& call) override {
    ARTCACHE_TRY(auto slice, vouched(position, limit, call));
    if (!slice.rows.empty() || patience <= std::chrono::nanoseconds::zero()) return slice;
    const Call waiting = call.within(patience, *clock_);
    const auto moved = index_.wait_for(position.seq, waiting);
    if (!moved && moved.error().code == Errc::timed_out) {
      ARTCACHE_CHECK(call.check("follow", *clock_));
      return slice;
    }
    if (!moved) return moved.error();
    return vouched(position, limit, call);
  }

  Result<Position> snapshot(const RecordSink& sink, const Call& call) override {
    return index_.snapshot(sink, call);
  }
  Result<std::vector<BucketDigest>> bucket_digests(unsigned bits, Position* position,
                                                   const Call& call) override {
    return index_.bucket_digests(bits, position, call);
  }
  Result<void> keys(unsigned bits, std::span<const std::uint32_t> buckets, const KeySink& sink,
                    const Call& call) override {
    return sync::keys_of(index_, bits, buckets, sink, call);
  }

  Result<std::vector<std::optional<Record>>> records(std::span<const std::string> keys,
                                                     const Call& call) override {
    std::vector<std::optional<Record>> records;
    for (const std::string& key : keys) {
      ARTCACHE_TRY(const FileId id, FileId::parse(key));
      const auto row = index_.find(id, call);
      if (!row && row.error().code == Errc::corrupt) {
        ARTCACHE_TRY(records.emplace_back(), damaged(key, id, call));
        continue;
      }
      if (!row) return row.error();
      auto& record = records.emplace_back();
      if (!*row) continue;
      record = Record{.key = key, .hash = (*row)->hash, .payload = {}};
      append_content(record->payload, (*row)->entry);
    }
    return records;
  }

 private:
  /// That a row cannot be read is the trouble of its key, and not of all who are asked for with it:
  /// without a payload nobody believes it.
  Result<std::optional<Record>> damaged(const std::string& key, const FileId& id,
                                        const Call& call) {
    ARTCACHE_TRY(const auto briefs, index_.briefs({&id, 1}, call));
    if (!briefs[0]) return std::optional<Record>();
    return std::optional(Record{.key = key, .hash = briefs[0]->hash, .payload = {}});
  }

  Result<LogSlice> vouched(const Position& position, std::uint32_t limit, const Call& call) {
    auto slice = index_.read_after(position, limit, call);
    if (slice || slice.error().code != Errc::gone) return slice;
    ARTCACHE_TRY(const IndexHead head, index_.head(call));
    if (was_rewound(head, position) && head.suspect_reason.empty())
      ARTCACHE_CHECK(index_.set_suspect(kRewound, 0, call));
    return slice;
  }

  MetadataStore& index_;
  const Clock* const clock_;
};

}  // namespace

bool was_rewound(const IndexHead& head, const Position& position) {
  // A row that is still there has another digest, or none was ever given to that number.
  return position.epoch == head.position.epoch &&
         (position.seq >= head.position.seq || position.seq >= head.oldest_seq);
}

Result<std::vector<BucketDigest>> LogSource::some_digests(unsigned bits,
                                                          std::span<const std::uint32_t> wanted,
                                                          const Call& call) {
  ARTCACHE_TRY(const auto all, bucket_digests(bits, nullptr, call));
  std::vector<BucketDigest> some;
  for (const std::uint32_t number : wanted) {
    if (number >= all.size())
      return Error{Errc::invalid_argument, "log: there is no bucket " + std::to_string(number)};
    some.push_back(all[number]);
  }
  return some;
}

std::unique_ptr<LogSource> make_log_source(MetadataStore& index, const Deps& deps) {
  return std::make_unique<LocalSource>(index, deps);
}

}  // namespace artcache
