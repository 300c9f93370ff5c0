// SPDX-License-Identifier: Apache-2.0
// Removes files where they are not to be: sources of what was finalized, copies that do not count.
#include <algorithm>

#include "roles/ingester/finalizer.hpp"
#include "util/try.hpp"

namespace artcache::ingester {
namespace {

constexpr std::int64_t kAtOnce = 100;
constexpr std::chrono::seconds kRound{2};
constexpr std::chrono::hours kTrimEvery{1};
// So that others who write wait for no long transaction.
constexpr std::int64_t kTrimAtOnce = 1000;
// Until then it may be that an element starts anew.
constexpr std::uint32_t kStuckAfter = 10;
// With the pauses below: ten minutes.
constexpr std::uint32_t kSayEvery = 20;

/// From seconds to half a minute, for as long as it takes: what is away comes back, and what was
/// finalized is found twice until then.
std::chrono::seconds pause_after(std::uint32_t attempts) {
  return std::min(std::chrono::seconds(2U << std::min(attempts, 10U)), std::chrono::seconds(30));
}

}  // namespace

void Finalizer::clean(std::stop_token stop) {
  Call call;
  call.stop = stop;
  auto trim_at = parts_.deps.clock->steady();
  while (!stop.stop_requested()) {
    const auto due = parts_.database->read(
        call, [&](db::Session& s) { return due_cleanups(s, parts_.deps.clock->now(), kAtOnce); });
    if (due)
      for (const Cleanup& cleanup : *due) {
        if (stop.stop_requested()) return;
        clean_one(cleanup, call);
      }
    const auto stuck = parts_.database->read(
        call, [](db::Session& s) { return count_cleanups_tried(s, kStuckAfter); });
    if (stuck)
      parts_.deps.metrics->gauge("ingester_cleanups_stuck", {}, static_cast<double>(*stuck));
    if (const auto now = parts_.deps.clock->steady(); now >= trim_at) {
      trim_at = now + kTrimEvery;
      if (const auto done = trim(call); !done && done.error().code != Errc::cancelled)
        log(LogLevel::error, "What ended long ago is not forgotten", {}, done.error().message);
    }
    const util::MutexLock lock(mutex_);
    if (!stop.stop_requested()) changed_.wait_for(mutex_, kRound);
  }
}

Result<void> Finalizer::trim(const Call& call) {
  const auto lifetime = parts_.options.finalize_lifetime;
  if (lifetime.count() == 0) return {};
  const Timestamp before = parts_.deps.clock->now() - lifetime;
  for (std::int64_t rows = kTrimAtOnce; rows == kTrimAtOnce;) {
    ARTCACHE_CHECK(call.check("finalizes", *parts_.deps.clock));
    ARTCACHE_TRY(rows, parts_.database->write(call, [&](db::Session& s) {
      return remove_finalizes_before(s, before, kTrimAtOnce);
    }));
  }
  return {};
}

void Finalizer::clean_one(const Cleanup& cleanup, const Call& call) {
  // The list of those that are due was read some time ago.
  const auto now = parts_.database->read(
      call, [&](db::Session& s) { return find_cleanup(s, cleanup.file, cleanup.element); });
  if (!now || *now != cleanup) return;
  const auto done = collect(cleanup, call);
  if (!done && done.error().code == Errc::cancelled) return;
  const MetricLabel label[]{{"status", done ? "success" : "failed"}};
  parts_.deps.metrics->count("ingester_cleanups_total", label, 1);
  const bool lost = !done && done.error().code == Errc::gone;
  if (lost && cleanup.reason != kSourceLost)
    log(LogLevel::error, "A copy that does not count is kept: it may be the last there is",
        to_string(cleanup.file), done.error().message);
  else if (!done && done.error().code == Errc::invalid_argument &&
           cleanup.attempts % kSayEvery == 0)
    // Waiting alone does not mend that, and until somebody does the file is found twice.
    log(LogLevel::error, "A file cannot be removed where it is not to be: an element refuses",
        to_string(cleanup.file), done.error().message);
  else if (!done && cleanup.attempts == 0)
    log(LogLevel::warning, "A file is removed later than it should be", to_string(cleanup.file),
        done.error().message);
  const auto write = [&](db::Session& s) -> Result<void> {
    if (done) return remove_cleanup(s, cleanup);
    Cleanup later = cleanup;
    ++later.attempts;
    later.due_at = parts_.deps.clock->now() + pause_after(later.attempts);
    if (lost) later.reason = kSourceLost;
    return postpone_cleanup(s, cleanup, later);
  };
  const auto stored = parts_.database->write(last_word(parts_.deps), write);
  if (!stored)
    log(LogLevel::error, "A cleanup was not written down, and is done again",
        to_string(cleanup.file), stored.error().message);
}

Result<void> Finalizer::collect(const Cleanup& cleanup, const Call& call) {
  ARTCACHE_TRY(const ElementView element, reachable(cleanup.element));
  std::string seen;
  if (!cleanup.keeper.empty()) {
    ARTCACHE_TRY(const auto file, parts_.client->find(element.url, cleanup.file, call));
    if (!file) return {};  // somebody was quicker
    ARTCACHE_CHECK(may_go(cleanup, *file, call));
    // That may have taken long, and what is removed takes along what was said of it meanwhile. What
    // is said from now on the element compares, unless it is of a version that does not.
    ARTCACHE_TRY(const auto now, parts_.client->find(element.url, cleanup.file, call));
    if (!now) return {};
    if (now->said != file->said)
      return Error{Errc::busy, "it was edited at storage element " + cleanup.element + " just now"};
    seen = now->tag;
  }
  return parts_.client->collect(element.url, cleanup.file, cleanup.reason, seen, call);
}

/// Whether the one who keeps the file has it, and all that was said of it here.
Result<void> Finalizer::may_go(const Cleanup& cleanup, const FileFacts& file, const Call& call) {
  ARTCACHE_TRY(const ElementView keeper, reachable(cleanup.keeper));
  ARTCACHE_TRY(const auto kept, parts_.client->find(keeper.url, cleanup.file, call));
  bool whole = false;
  if (kept) {
    ARTCACHE_TRY(whole, parts_.client->has_bytes(keeper.url, cleanup.file, kept->size, call));
  }
  if (!whole && cleanup.reason == kFinalized)
    return Error{Errc::not_found, "storage element " + cleanup.keeper + " has no such file"};
  if (!whole) return source_lost(cleanup);
  if (cleanup.reason != kFinalized) return {};
  ARTCACHE_TRY(auto job, parts_.database->read(call, [&](db::Session& s) {
    return last_finalize(s, cleanup.file, cleanup.element, cleanup.keeper);
  }));
  if (!job) return {};
  const auto before = job->base;
  ARTCACHE_CHECK(carry_edits(*job, file, *kept, keeper, call));
  if (job->base == before) return {};
  // When the source cannot be removed yet, it may be edited again.
  return parts_.database->write(last_word(parts_.deps),
                                [&](db::Session& s) { return store_base(s, *job); });
}

/// A row in the log of the source is no proof that somebody removed the file there, either: whoever
/// finds the disk empty has the index forget its files, and logs the same.
Error Finalizer::source_lost(const Cleanup& cleanup) {
  return {Errc::gone, "storage element " + cleanup.keeper +
                          " has no such file any more; storage element " + cleanup.element +
                          " has a copy"};
}

}  // namespace artcache::ingester
