// SPDX-License-Identifier: Apache-2.0
// What the tests of followers share: a source and its copy.
#pragma once

#include <artcache/follower.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "conformance/index_suite.hpp"
#include "support/sample_entry.hpp"
#include "support/temp_dir.hpp"

namespace artcache::test {

inline void put(MetadataStore& index, std::uint64_t from, std::uint64_t to,
                const std::string& text = {}) {
  std::vector<EntryChange> changes;
  for (std::uint64_t n = from; n < to; ++n) {
    FileEntry entry = sample_entry(n);
    if (!text.empty()) entry.description = text;
    changes.push_back(put_of(std::move(entry)));
    if (changes.size() == 1000 || n + 1 == to) {
      good(index.apply({.changes = changes}, {}));
      changes.clear();
    }
  }
}

inline void remove(MetadataStore& index, std::uint64_t from, std::uint64_t to) {
  for (std::uint64_t n = from; n < to; ++n) {
    const EntryChange change = remove_of(sample_id(n));
    good(index.apply({.changes = {&change, 1}}, {}));
  }
}

inline bool same(MetadataStore& a, MetadataStore& b) {
  const auto one = good(a.head({})), two = good(b.head({}));
  return one.position.digest == two.position.digest && one.count == two.count;
}

/// A source and its copy, which is on the server that is named, if any. The source's address may
/// say how long its log is.
struct Pair {
  explicit Pair(const std::string& extra = {})
      : source(open_index("sqlite://" + dir.path() + "/source.db?" + extra)),
        copy(open_index(copy_address)) {}

  FollowStatus catch_up() { return catch_up_from(*log); }
  FollowStatus catch_up_from(LogSource& from) {
    sink = make_replica(*copy, "source", {});
    Follower follower(from, *sink, {.batch = 100}, {});
    return good(follower.catch_up({}));
  }
  void reopen_source(const std::string& extra = {}) {
    log.reset();
    source.reset();
    source = open_index("sqlite://" + dir.path() + "/source.db?" + extra);
    log = make_log_source(*source);
  }

  TempDir dir;
  const std::string copy_address =
      named_servers().empty() ? "sqlite://" + dir.path() + "/copy.db"
                              : fresh_prefix(named_servers().front()) + "&owners=" + dir.path();
  std::unique_ptr<MetadataStore> source, copy;
  std::unique_ptr<LogSource> log = make_log_source(*source);
  std::unique_ptr<ReplicaSink> sink;
};

/// Waits until the follower says so; false after five minutes.
inline bool eventually(const std::function<bool()>& holds) {
  for (int i = 0; i < 30'000; ++i) {
    if (holds()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

}  // namespace artcache::test
