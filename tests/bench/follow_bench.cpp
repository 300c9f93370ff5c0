// SPDX-License-Identifier: Apache-2.0
// Followers: a new replica, the changes of a log, a few differences among many records, and how
// soon a change is found elsewhere.
#include <algorithm>
#include <artcache/follower.hpp>
#include <artcache/log_frames.hpp>
#include <stop_token>
#include <thread>

#include "bench/bench.hpp"
#include "bench/index_bench.hpp"
#include "support/passing_log.hpp"

namespace artcache::bench {
namespace {

constexpr std::uint64_t kApplied = 50'000;
constexpr std::size_t kAtOnce = 1000;
constexpr std::uint64_t kDifferences = 100;
constexpr std::uint64_t kWatched = 500;
constexpr std::chrono::milliseconds kBetween{4};

/// A log, and the bytes of the bodies in which it would go over HTTP.
class Counting final : public test::PassingLog {
 public:
  using PassingLog::PassingLog;
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

  Result<IndexHead> head(const Call& call) override {
    auto head = PassingLog::head(call);
    if (head) count([&](std::string& out) { frames::append_head(out, *head); });
    return head;
  }
  Result<LogSlice> read_after(const Position& position, std::uint32_t limit,
                              std::chrono::nanoseconds patience, const Call& call) override {
    auto slice = PassingLog::read_after(position, limit, patience, call);
    if (slice)
      count([&](std::string& out) {
        frames::append_head(out, slice->head);
        for (const LogRow& row : slice->rows) frames::append_row(out, row);
      });
    return slice;
  }
  Result<std::vector<BucketDigest>> bucket_digests(unsigned bits, Position* position,
                                                   const Call& call) override {
    Position at;
    auto all = PassingLog::bucket_digests(bits, position == nullptr ? &at : position, call);
    if (all) count([&](std::string& out) { frames::append_digests(out, at, *all); });
    return all;
  }
  Result<std::vector<BucketDigest>> some_digests(unsigned bits,
                                                 std::span<const std::uint32_t> wanted,
                                                 const Call& call) override {
    auto some = PassingLog::some_digests(bits, wanted, call);
    bytes_ += frames::buckets_text(wanted).size();
    if (some) count([&](std::string& out) { frames::append_digests(out, {}, *some); });
    return some;
  }
  Result<void> keys(unsigned bits, std::span<const std::uint32_t> buckets, const KeySink& sink,
                    const Call& call) override {
    bytes_ += frames::buckets_text(buckets).size();
    std::string out;
    const auto counted = [&](std::span<const KeyHash> keys) {
      frames::append_keys(out, keys);
      return sink(keys);
    };
    auto done = PassingLog::keys(bits, buckets, counted, call);
    count([&](std::string& body) { body = std::move(out); });
    return done;
  }
  Result<std::vector<std::optional<Record>>> records(std::span<const std::string> keys,
                                                     const Call& call) override {
    auto found = PassingLog::records(keys, call);
    bytes_ += frames::key_list(keys).size();
    if (found)
      count([&](std::string& out) {
        for (const auto& one : *found)
          one ? frames::append_record(out, *one) : frames::append_absent(out);
      });
    return found;
  }

 private:
  void count(const std::function<void(std::string&)>& append) {
    std::string out;
    append(out);
    frames::append_end(out);
    bytes_ += out.size();
  }
  std::uint64_t bytes_ = 0;
};

void apply_rows(MetadataStore& index, std::span<const BulkLoad::Row> rows) {
  std::vector<EntryChange> changes;
  for (const auto& row : rows) changes.push_back(change_of(row));
  for (std::size_t at = 0; at < changes.size(); at += kAtOnce) {
    const auto some = std::span(changes).subspan(at, std::min(kAtOnce, changes.size() - at));
    must(index.apply({.changes = some}, {}));
  }
}

/// A source, its replica, and plain tables, all with the same rows.
struct Trio {
  SampleRows rows;
  std::string folder;
  std::unique_ptr<MetadataStore> source, copy;
  std::unique_ptr<LogSource> log;
  std::uint64_t next;

  double catch_up(LogSource& from) const {
    const auto sink = make_replica(*copy, "bench", Deps{});
    Follower follower(from, *sink, {}, {});
    return time_of([&] {
      if (!must(follower.catch_up({})).proven) give_up("the replica is not in step");
    });
  }
};

Figure snapshot_figure(Trio& trio, int rounds) {
  Pair best{1e100, 1e100};
  for (int i = 0; i < rounds; ++i) {
    trio.log.reset();
    trio.source = open_fresh(trio.folder + "/artcache-bench-source.db");
    best.floor = std::min(best.floor, load_index(*trio.source, trio.rows));
    trio.log = make_log_source(*trio.source);
    trio.copy = open_fresh(trio.folder + "/artcache-bench-copy.db");
    best.ours = std::min(best.ours, trio.catch_up(*trio.log));
  }
  return {.group = "follow",
          .name = "snapshot of " + std::to_string(trio.rows.files()) + " to a new follower",
          .value = best.ours,
          .floor = best.floor,
          .unit = "s",
          .floor_name = "bulk load of the same ready rows",
          .must = 2.5,
          .aim = 1.5};
}

Figure apply_figure(Trio& trio) {
  RawSqlite raw(trio.folder + "/artcache-bench-raw.db");
  (void)load_raw(raw, trio.rows);
  Pair sum;
  for (const std::uint64_t end = trio.next + kApplied; trio.next < end; trio.next += kChunk) {
    const auto rows = trio.rows.make(trio.next, trio.next + kChunk);
    apply_rows(*trio.source, rows);
    sum.floor += time_of([&] {
      for (std::size_t at = 0; at < rows.size(); at += kAtOnce)
        apply_to_raw(raw, std::span(rows).subspan(at, kAtOnce), trio.next + at);
    });
    sum.ours += trio.catch_up(*trio.log);
  }
  return {.group = "follow",
          .name = "changes applied a second, 1,000 at a time",
          .value = kApplied / sum.ours,
          .floor = kApplied / sum.floor,
          .unit = "/s",
          .floor_name = "batched upserts with the same indexes, words and log",
          .must = 0.6,
          .aim = 0.8,
          .better = Better::higher};
}

Figure healing_figure(Trio& trio) {
  for (std::uint64_t i = 0; i < kDifferences; ++i) {
    const std::uint64_t number = i * (trio.rows.files() / kDifferences);
    auto row = std::move(trio.rows.make(number, number + 1).front());
    row.put.entry.description = "by hand";
    row.put = prepare(std::move(row.put.entry));
    apply_rows(*trio.copy, {&row, 1});
  }
  Counting counting(*trio.log);
  (void)trio.catch_up(counting);
  return {.group = "follow",
          .name = "healing 100 differences, bytes of all bodies",
          .value = static_cast<double>(counting.bytes()) / 1024,
          .unit = "KiB",
          .must = 1024,
          .aim = 200};
}

/// From the moment before one change until a search in the replica finds it.
Figure found_figure(Trio& trio) {
  const auto sink = make_replica(*trio.copy, "bench", Deps{});
  Follower follower(*trio.log, *sink, {}, {});
  std::stop_source stop;
  Call call;
  call.stop = stop.get_token();
  std::jthread runner([&] { (void)follower.run(call); });
  std::vector<double> times;
  for (std::uint64_t i = 0; i < kWatched; ++i, ++trio.next) {
    const auto row = std::move(trio.rows.make(trio.next, trio.next + 1).front());
    times.push_back(time_of([&] {
      apply_rows(*trio.source, {&row, 1});
      while (must(trio.copy->search({.query = to_string(row.put.entry.id)}, {})).total == 0)
        std::this_thread::sleep_for(std::chrono::microseconds(100));
    }));
    std::this_thread::sleep_for(kBetween);
  }
  stop.request_stop();
  runner.join();
  std::ranges::sort(times);
  return {.group = "follow",
          .name = "a commit until it is found in a replica of the same process, p99",
          .value = times[times.size() * 99 / 100] * 1e3,
          .unit = "ms",
          .must = 50,
          .aim = 15};
}

}  // namespace

std::vector<Figure> follow_figures(const Options& options) {
  Trio trio{.rows = SampleRows(options.files),
            .folder = options.folder,
            .source = nullptr,
            .copy = nullptr,
            .log = nullptr,
            .next = options.files};
  std::vector<Figure> figures;
  figures.push_back(snapshot_figure(trio, options.files > 200'000 ? 1 : 3));
  figures.push_back(apply_figure(trio));
  figures.push_back(healing_figure(trio));
  figures.push_back(found_figure(trio));
  return figures;
}

}  // namespace artcache::bench
