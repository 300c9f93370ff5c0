// SPDX-License-Identifier: Apache-2.0
// Many owners that want, work, renew, yield, crash and stand still, over the real rules; beside it
// a model of commits that only knows fences.
#include <array>
#include <cstdlib>
#include <optional>
#include <random>
#include <set>

#include "unit/core/locks/lock_fixture.hpp"

namespace artcache::locks::test {
namespace {

constexpr int kSteps = 100'000;
constexpr std::size_t kOwners = 16;
constexpr Time kTtl = seconds(8);
/// A minute until one comes before all that come later, and then at most every other one's turn,
/// which ends by itself or with its time.
constexpr Time kLongestWait = kPatience + kOwners * (kTtl + seconds(2));

std::uint64_t seed() {
  if (const char* given = std::getenv("ARTCACHE_SEED")) return std::strtoull(given, nullptr, 10);
  return std::random_device()();
}

struct Actor {
  LockClass lock_class = LockClass::manual_rebuild;
  std::string name, owner;
  std::uint64_t fence = 0;  // what it believes to hold
  std::optional<Time> wants_since;
  Time stopped_until{0}, work_until{0}, rests_until{0};
};

class Simulation {
 public:
  explicit Simulation(std::uint64_t seed_of) : random_(seed_of) {
    for (std::size_t i = 0; i < kOwners; ++i) {
      actors_[i].lock_class = kClasses[i % 4];
      actors_[i].name = "w" + std::to_string(i);
    }
  }

  void step() {
    element_.now += Time(below(20'000));
    Actor& actor = actors_[below(kOwners)];
    if (actor.stopped_until > element_.now) return;
    if (below(4000) == 0) break_class(kClasses[below(4)]);
    if (actor.fence != 0)
      hold(actor);
    else if (actor.rests_until <= element_.now)
      want(actor);
    check_holders();
  }

  std::array<int, 5> turns{};  // by class
  std::array<Time, 5> longest{};
  int commits = 0, refused_commits = 0, crashes = 0, stops = 0, yields = 0;

 private:
  std::uint64_t below(std::uint64_t end) { return random_() % end; }

  void want(Actor& actor) {
    if (!actor.wants_since) actor.wants_since = element_.now;
    actor.owner = actor.name + "." + std::to_string(++owners_);
    element_.liveness[actor.owner] = Liveness::alive;
    const auto before = registered();
    const std::uint64_t fence = element_.acquire(actor.lock_class, actor.owner, actor.name,
                                                 std::chrono::duration_cast<milliseconds>(kTtl));
    for (const std::uint64_t one : before)
      if (element_.registered(one) == nullptr) put_out_.insert(one);
    if (fence == 0) {
      element_.liveness.erase(actor.owner);
      if (below(500) == 0) stop(actor);
      return;
    }
    REQUIRE(fence > newest_);
    newest_ = fence;
    const auto row = static_cast<std::size_t>(actor.lock_class);
    ++turns[row];
    longest[row] = std::max(longest[row], element_.now - *actor.wants_since);
    actor.wants_since.reset();
    actor.fence = fence;
    actor.work_until = element_.now + Time(below(3'000'000));
  }

  void hold(Actor& actor) {
    commit(actor);
    const auto kind = below(100);
    if (kind == 0) return crash(actor);
    if (kind == 1) return stop(actor);
    const auto renewal = decide_renew(element_.locks, actor.fence, actor.owner, "", element_.now);
    REQUIRE(renewal.has_value() == (element_.registered(actor.fence) != nullptr));
    if (!renewal) return leave(actor);
    apply(element_.locks, *renewal);
    if (renewal->outcome == RenewOutcome::asked_to_yield) ++yields;
    if (renewal->outcome == RenewOutcome::asked_to_yield || actor.work_until <= element_.now) {
      REQUIRE(element_.release(actor.fence, actor.owner));
      put_out_.insert(actor.fence);
      leave(actor);
    }
  }

  /// Changes rows if the fence is registered: exactly what the index does.
  void commit(const Actor& actor) {
    const bool applied = element_.registered(actor.fence) != nullptr;
    applied ? ++commits : ++refused_commits;
    if (!applied) return;
    REQUIRE(!put_out_.contains(actor.fence));
    for (const Actor& other : actors_)
      if (&other != &actor && other.fence > actor.fence &&
          conflicts(other.lock_class, actor.lock_class))
        // A later one that excludes it was let in only after it was put out.
        REQUIRE(element_.registered(other.fence) == nullptr);
  }

  void crash(Actor& actor) {
    ++crashes;
    // On another host nobody can tell.
    element_.liveness[actor.owner] = below(4) == 0 ? Liveness::unknown : Liveness::dead;
    actor.fence = 0;
    actor.rests_until = element_.now + Time(below(1'000'000));
  }

  void stop(Actor& actor) {
    ++stops;
    actor.stopped_until = element_.now + Time(below(30'000'000));
    actor.wants_since.reset();  // its place is lost, or will be soon
  }

  void leave(Actor& actor) {
    element_.liveness.erase(actor.owner);
    actor.fence = 0;
    // Rebuilds come again at once: they must not shut the others out.
    if (actor.lock_class != LockClass::manual_rebuild)
      actor.rests_until = element_.now + Time(below(500'000));
  }

  void break_class(LockClass lock_class) {
    for (const std::uint64_t fence : decide_break(element_.locks, lock_class)) {
      evict(element_.locks, fence);
      put_out_.insert(fence);
    }
  }

  [[nodiscard]] std::vector<std::uint64_t> registered() const {
    std::vector<std::uint64_t> out;
    for (const LockRecord& held : element_.locks.holders) out.push_back(held.fence);
    return out;
  }

  void check_holders() {
    const auto& holders = element_.locks.holders;
    bool sound = holders.size() <= kHoldersMost && element_.locks.waiters.size() <= kWaitersMost;
    for (std::size_t i = 0; i < holders.size(); ++i)
      for (std::size_t j = 0; j < i; ++j)
        sound = sound && !conflicts(holders[i].lock_class, holders[j].lock_class);
    for (const LockRecord& held : holders) sound = sound && !put_out_.contains(held.fence);
    REQUIRE(sound);
  }

  std::mt19937_64 random_;
  Element element_;
  std::array<Actor, kOwners> actors_;
  std::set<std::uint64_t> put_out_;  // fences that must never be let through again
  std::uint64_t newest_ = 0;
  int owners_ = 0;
};

}  // namespace

TEST_SUITE("lock simulation") {
  TEST_CASE(
      "no two that exclude each other are registered, no one put out commits, all get turns") {
    const std::uint64_t start = seed();
    MESSAGE("ARTCACHE_SEED=" << start);
    Simulation simulation(start);
    for (int i = 0; i < kSteps; ++i) simulation.step();

    for (const LockClass lock_class : kClasses) {
      CAPTURE(to_string(lock_class));
      const auto row = static_cast<std::size_t>(lock_class);
      CHECK(simulation.turns[row] > 5);
      CHECK(simulation.longest[row] < kLongestWait);
    }
    CHECK(simulation.commits > 1000);
    CHECK(simulation.refused_commits > 10);
    CHECK(simulation.crashes > 10);
    CHECK(simulation.stops > 10);
    CHECK(simulation.yields > 10);
  }
}

}  // namespace artcache::locks::test
