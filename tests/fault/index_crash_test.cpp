// SPDX-License-Identifier: Apache-2.0
// The power fails at every write and every sync of an opening, of applies and of a bulk load.
#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "backends/sqlite/index.hpp"
#include "fault/index_check.hpp"
#include "support/crash_vfs.hpp"
#include "support/fake_clock.hpp"
#include "support/sample_entry.hpp"
#include "util/try.hpp"

using namespace artcache;
using namespace artcache::test;

namespace {

using Store = std::unique_ptr<MetadataStore>;

struct Bench {
  CrashVfs vfs;
  std::uint64_t log_rows = 100'000;
  std::string boot;
  Deps deps;

  Result<Store> open() {
    sqlite::IndexOptions options;
    options.path = "index.db";
    options.prefix = "storage_elem_01";
    options.vfs = vfs.name();
    options.retention.rows_most = log_rows;
    options.boot = boot;
    return sqlite::open_index(options, deps, {});
  }
};

using Step = std::function<Result<void>(Bench&, Store&)>;

/// An apply of puts [from, to) with their scan rows; `suffix` makes their content another.
Result<void> put_rows(MetadataStore& index, std::uint64_t from, std::uint64_t to,
                      const std::string& suffix = {}) {
  std::vector<EntryChange> changes;
  std::vector<ScannedFile> scanned;
  for (std::uint64_t n = from; n < to; ++n) {
    FileEntry entry = sample_entry(n);
    if (!suffix.empty()) entry.description = "changed " + suffix;
    changes.push_back(put_of(std::move(entry)));
    scanned.push_back(scanned_of(changes.back().put));
  }
  ARTCACHE_CHECK(index.apply({.changes = changes, .scanned = scanned}, {}));
  return {};
}

/// Removals and a change, a scan row taken out, one put under a second path.
Result<void> mixed(MetadataStore& index, std::uint64_t n) {
  const std::vector<EntryChange> changes{remove_of(sample_id(n)), put_of(sample_entry(n + 500)),
                                         remove_of(sample_id(n + 1))};
  const std::string gone = scanned_of(prepare(sample_entry(n))).path;
  ScannedFile copy = scanned_of(prepare(sample_entry(n + 2)));
  copy.path = "copies/" + std::to_string(n) + ".attr.json";
  const std::vector<std::string_view> unscanned{gone};
  const std::vector<FileId> finished{sample_id(n + 500)};
  ARTCACHE_CHECK(index.apply({.changes = changes,
                              .scanned = {{copy}},
                              .unscanned = unscanned,
                              .finished_intents = finished},
                             {}));
  return {};
}

Result<void> freshen(MetadataStore& index, std::uint64_t n) {
  EntryChange change;
  change.kind = EntryChange::Kind::freshen;
  change.id = sample_id(n);
  change.freshness = sample_freshness(1'900'000'000);
  ARTCACHE_CHECK(index.apply({.changes = {{change}}}, {}));
  return {};
}

Result<void> open_step(Bench& bench, Store& index) {
  index.reset();
  ARTCACHE_TRY(index, bench.open());
  return {};
}

std::vector<Step> apply_steps() {
  return {
      open_step,
      [](Bench&, Store& index) { return put_rows(*index, 0, 12); },
      [](Bench&, Store& index) {
        return index->add_intent({sample_id(502), "a/b", Intent::Operation::upload, {}}, {});
      },
      [](Bench&, Store& index) { return put_rows(*index, 3, 6, "one"); },
      [](Bench&, Store& index) { return mixed(*index, 2); },
      [](Bench&, Store& index) { return index->set_suspect("", 0, {}); },
      open_step,  // the last connection moves the log into the database
      [](Bench&, Store& index) { return put_rows(*index, 20, 60); },
      [](Bench&, Store& index) { return freshen(*index, 25); },
      [](Bench&, Store& index) { return mixed(*index, 30); },
      open_step,
      [](Bench&, Store& index) { return put_rows(*index, 20, 24, "two"); },
      [](Bench&, Store& index) { return put_rows(*index, 100, 101); },
  };
}

std::vector<Step> bulk_steps() {
  return {
      open_step,
      [](Bench&, Store& index) { return put_rows(*index, 0, 5); },
      [](Bench&, Store& index) -> Result<void> {
        ARTCACHE_TRY(const auto bulk, index->bulk_load(300, 0, {}));
        ARTCACHE_CHECK(bulk->add(bulk_rows(0, 200), {}));
        ARTCACHE_CHECK(bulk->add(bulk_rows(198, 300), {}));  // two of them twice
        ARTCACHE_CHECK(bulk->finish({}));
        return {};
      },
      [](Bench&, Store& index) { return put_rows(*index, 290, 310, "three"); },
  };
}

/// What happened until the power failed.
struct Run {
  std::size_t done = 0;              ///< steps that reported success
  std::optional<Position> promised;  ///< the head after them
  std::vector<Moment> moments;       ///< after each, of the run that was not cut
  std::string failure;
};

Run run(Bench& bench, const std::vector<Step>& steps, bool remember) {
  Run out;
  Store index;
  for (const Step& step : steps) {
    if (const auto done = step(bench, index); !done) {
      out.failure = to_string(done.error());
      return out;
    }
    ++out.done;
    if (const auto head = index->head({})) out.promised = head->position;
    if (!remember) continue;
    auto moment = moment_of(*index);
    if (!moment) out.failure = to_string(moment.error());
    if (!moment) return out;
    out.moments.push_back(*std::move(moment));
  }
  return out;
}

/// What is wrong after the reboot; empty when nothing is.
std::string judge(Bench& bench, const Run& cut, const std::vector<Moment>& moments,
                  std::uint64_t number) {
  auto index = bench.open();
  if (!index) return "does not open: " + to_string(index.error());
  if (const auto& promised = cut.promised) {
    const auto read = (*index)->read_after(*promised, 100, {});
    if (!read) return "a promised position is gone: " + to_string(read.error());
    if (read->head.position.seq < promised->seq) return "the head is before a promised position";
  }
  const bool trimmed = bench.log_rows < 1000;
  const Position* known = trimmed && cut.promised ? &*cut.promised : nullptr;
  if (!trimmed || known != nullptr)
    if (auto problem = contradiction(**index, known); !problem.empty()) return problem;
  const auto now = moment_of(**index);
  if (!now) return to_string(now.error());
  // Before the first step is done there is nothing to compare with but an empty index.
  const std::size_t last = cut.done == 0 ? 0 : cut.done - 1;
  const std::size_t next = std::min(cut.done, moments.size() - 1);
  if (*now != moments[last] && *now != moments[next])
    return "neither the state before the step nor the one after it";
  if (number % 3 != 0) return {};  // going on takes as long as all before it
  if (auto problem = does_not_go_on(**index); !problem.empty()) return problem;
  index->reset();
  index = bench.open();
  if (!index) return "does not open again: " + to_string(index.error());
  return contradiction(**index);
}

struct Plan {
  std::vector<Step> steps;
  std::uint64_t seeds = 3;
  std::uint64_t log_rows = 100'000;
};

void cut_everywhere(const std::string& what, const Plan& plan) {
  Bench whole;
  whole.log_rows = plan.log_rows;
  const Run reference = run(whole, plan.steps, true);
  REQUIRE(reference.failure == "");
  REQUIRE(reference.moments.size() == plan.steps.size());
  std::uint64_t cuts = 0, runs = 0;
  int failures = 0;
  for (bool finished = false; !finished && failures < 10; ++cuts)
    for (std::uint64_t seed = 0; seed < plan.seeds; ++seed, ++runs) {
      Bench bench;
      bench.log_rows = plan.log_rows;
      bench.vfs.cut_after(cuts + 1);
      const Run cut = run(bench, plan.steps, false);
      finished = !bench.vfs.is_cut();
      bench.vfs.reboot(seed < 2 ? seed : cuts * 1000 + seed);
      const std::string problem = judge(bench, cut, reference.moments, cuts + seed);
      INFO(what << ": cut " << cuts + 1 << ", seed " << seed << ", steps done " << cut.done);
      CHECK(problem == "");
      failures += problem.empty() ? 0 : 1;
    }
  MESSAGE(what << ": " << cuts << " cut points, " << runs << " runs");
}

}  // namespace

TEST_SUITE("index power cuts") {
  TEST_CASE("while a fresh index is opened") {
    cut_everywhere("opening", {{open_step, open_step}, 6});
  }

  TEST_CASE("[G5] while changes are applied") { cut_everywhere("applies", {apply_steps(), 3}); }

  TEST_CASE("while changes are applied and the log is trimmed") {
    cut_everywhere("applies with a short log", {apply_steps(), 1, 10});
  }

  TEST_CASE("[G5] while an index is bulk-loaded: all of it or nothing") {
    cut_everywhere("bulk load", {bulk_steps(), 3});
  }

  TEST_CASE("[G3] an index open for writing is suspect after a power cut, and else is not") {
    enum class End { closed, killed, power_cut };
    for (const End end : {End::closed, End::killed, End::power_cut}) {
      Bench bench;
      bench.boot = "monday";
      Store index;
      REQUIRE(open_step(bench, index).has_value());
      REQUIRE(put_rows(*index, 0, 3).has_value());
      REQUIRE(index->set_suspect("", 0, {}).has_value());
      if (end == End::closed) index.reset();
      // A process that is killed leaves its files as they are, and the machine runs on.
      if (end != End::closed) bench.vfs.cut_after(1);
      if (end == End::power_cut) bench.boot = "tuesday";
      index.reset();
      bench.vfs.reboot(end == End::power_cut ? 0 : 1);
      REQUIRE(open_step(bench, index).has_value());
      CHECK(contradiction(*index) == "");
      CHECK(index->head({})->suspect_reason.empty() == (end != End::power_cut));
      // Only a reconcile ends it: not another start, clean or not.
      bench.boot = "wednesday";
      REQUIRE(open_step(bench, index).has_value());
      CHECK(index->head({})->suspect_reason.empty() == (end != End::power_cut));
    }
  }

  TEST_CASE("[G3] an apply is durable wherever a call before it ended that waits for no disk") {
    bool in_time = false;
    for (std::uint64_t looks = 1; !in_time; ++looks) {
      REQUIRE(looks < 1000);
      ImpatientClock clock;
      Bench bench;
      bench.deps.clock = &clock;
      Store index;
      REQUIRE(open_step(bench, index).has_value());
      clock.step(std::chrono::nanoseconds(1));
      in_time =
          index->set_note("name", "text", 0, Call().within(std::chrono::nanoseconds(looks), clock))
              .has_value();
      REQUIRE(put_rows(*index, 0, 3).has_value());
      bench.vfs.reboot(0);
      index.reset();
      REQUIRE(open_step(bench, index).has_value());
      INFO("a call that ended at look " << looks);
      CHECK(index->head({})->position.seq == 3);
      CHECK(contradiction(*index) == "");
    }
  }

  TEST_CASE("an index that only was read is not suspect after a power cut") {
    Bench bench;
    bench.boot = "monday";
    Store index;
    REQUIRE(open_step(bench, index).has_value());
    REQUIRE(index->set_suspect("", 0, {}).has_value());
    REQUIRE(open_step(bench, index).has_value());
    REQUIRE(index->head({}).has_value());
    bench.vfs.cut_after(1);
    index.reset();
    bench.vfs.reboot(0);
    bench.boot = "tuesday";
    REQUIRE(open_step(bench, index).has_value());
    CHECK(index->head({})->suspect_reason == "");
  }

  TEST_CASE("an index whose files failed for a while goes on when they work again") {
    Bench bench;
    Store index;
    REQUIRE(open_step(bench, index).has_value());
    REQUIRE(put_rows(*index, 0, 3).has_value());
    bench.vfs.cut_after(1);
    CHECK_FALSE(put_rows(*index, 3, 6).has_value());
    CHECK_FALSE(put_rows(*index, 3, 6).has_value());
    bench.vfs.reboot(0);
    REQUIRE(put_rows(*index, 3, 6).has_value());
    // Readers each find out by themselves.
    for (int i = 0; i < 4 && !index->head({}); ++i) {
    }
    CHECK(contradiction(*index) == "");
    CHECK(index->head({})->position.seq == 6);
  }

  TEST_CASE("a commit whose sync fails is unknown, and the index goes on with either outcome") {
    for (const std::uint64_t seed : {std::uint64_t{0}, std::uint64_t{1}}) {
      Bench bench;
      Store index;
      REQUIRE(open_step(bench, index).has_value());
      REQUIRE(put_rows(*index, 0, 3).has_value());
      bench.vfs.fail_sync(1);
      const auto failed = put_rows(*index, 3, 6);
      REQUIRE_FALSE(failed.has_value());
      CHECK(failed.error().code == Errc::unavailable);
      CHECK(failed.error().outcome == Outcome::unknown);
      CHECK(contradiction(*index) == "");
      CHECK(index->head({})->position.seq == 3);
      CHECK(put_rows(*index, 3, 7).has_value());
      CHECK(contradiction(*index) == "");
      bench.vfs.reboot(seed);
      index.reset();
      REQUIRE(open_step(bench, index).has_value());
      CHECK(contradiction(*index) == "");
      CHECK(index->head({})->position.seq == 7);
    }
  }
}
