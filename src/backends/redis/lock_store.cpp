// SPDX-License-Identifier: Apache-2.0
#include "backends/redis/lock_store.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <set>
#include <utility>

#include "backends/redis/lock_wire.hpp"
#include "util/try.hpp"

namespace artcache::redis {
namespace {

/// A request that others were faster than so often is busy.
constexpr int kTriesMost = 200;
/// For tidying up after a call that has no time left.
constexpr std::chrono::seconds kAfterwards{2};
constexpr std::chrono::milliseconds kWithdrawMost{100};
/// A grant goes by what the server said of its clock so lately: set a moment later it would be no
/// different.
constexpr std::chrono::seconds kTimeStands{1};
constexpr std::size_t kKnownMost = 256;

bool is_empty(const LockEdit& edit) {
  return edit.remove.empty() && edit.put.empty() && edit.forget.empty() && edit.wait.empty();
}

bool holds(const LockRows& rows, std::uint64_t fence) {
  return std::ranges::find(rows.holders, fence, &LockRows::Holder::fence) != rows.holders.end();
}

/// Whether `edit` is all that a grant writes where nobody holds or waits; all that a release does.
bool is_usual_grant(const LockRows& seen, const LockEdit& edit) {
  return seen.holders.empty() && seen.waiters.empty() && edit.put.size() == 1 &&
         edit.put.front().fence == edit.minted && edit.remove.empty() && edit.forget.empty() &&
         edit.wait.empty();
}
bool is_usual_release(const LockRows& seen, const LockEdit& edit) {
  return edit.remove.size() == 1 && edit.put.empty() && edit.forget.empty() && edit.wait.empty() &&
         holds(seen, edit.remove.front());
}

}  // namespace

Result<std::unique_ptr<LockStore>> open_locks(const Url& url, LockStore& index, const Deps& deps,
                                              const Call& call) {
  ARTCACHE_TRY(Options options, options_of(url, *deps.clock));
  auto locks = std::make_unique<Locks>(std::move(options), index, deps);
  ARTCACHE_CHECK(locks->lock_rows("artcache", call));
  return std::unique_ptr<LockStore>(std::move(locks));
}

/// Nothing `seen` reads alone.
Result<Locks::Swapped> Locks::swap(const std::string& element, const State* seen,
                                   const LockEdit& edit, const Call& call) {
  const std::vector<std::string> words = lock_wire::words_of(
      element,
      seen == nullptr ? std::string() : lock_wire::looks_like(seen->last, seen->rows.holders),
      seen == nullptr ? std::string() : time_text(*seen), edit);
  const std::vector<std::string_view> said(words.begin(), words.end());
  Swapped out;
  out.state.at = out.state.heard = deps_.clock->steady();
  ARTCACHE_TRY(const Reply reply, client_.run(lock_wire::script(), lock_wire::kKeys, said, call));
  ARTCACHE_TRY(lock_wire::Answer answer, lock_wire::answer_of(element, reply));
  out.done = answer.done;
  out.state.last = std::move(answer.last);
  out.state.rows = std::move(answer.rows);
  // The server's clock counts, unless the host has one of its own for everything.
  if (deps_.clock != &system_clock()) out.state.rows.now.reset();
  remember(element, std::make_unique<State>(out.state));
  return out;
}

/// Nobody is put out by it, so it leaves no trace: who was on the way meanwhile may go on.
Result<bool> Locks::take(const std::string& element, Seen& seen, LockEdit& edit, const Call& call) {
  LockRows::Holder& holder = edit.put.front();
  const Clock::SteadyTime asked = deps_.clock->steady();
  const bool time_stands = !seen->rows.now || asked - seen->heard < kTimeStands;
  const std::string decided = time_stands ? std::string() : time_text(*seen);
  const std::string fence = std::to_string(holder.fence);
  const std::string life = holder.life.count() == lock_wire::usual_life(holder.lock_class)
                               ? std::string()
                               : lock_wire::life_of(holder);
  const std::string_view last = seen->last == lock_wire::kNoLast ? std::string_view() : seen->last;
  const std::array<std::string_view, 5> words{fence, holder.text, life, last, decided};
  Args said = words;
  while (said.back().empty()) said = said.first(said.size() - 1);
  if (!seen->taking || seen->taking->lock_class != holder.lock_class)
    seen->taking = taking_of(element, holder.lock_class);
  const auto reply = client_.run(seen->taking->script, 0, said, call);
  if (!reply) return reply.error();
  if (reply->integer != 1) return false;
  if (!time_stands) seen->heard = asked;
  seen->rows.holders.push_back(std::move(holder));
  remember(element, std::move(seen));
  return true;
}

/// A fence stands for one holder, so there is nothing to compare. Who has come to wait meanwhile is
/// not seen: what is known then is good for take() alone, which looks.
Result<bool> Locks::give(const std::string& element, Seen& seen, std::uint64_t fence,
                         const Call& call) {
  auto& holders = seen->rows.holders;
  const auto at = std::ranges::find(holders, fence, &LockRows::Holder::fence);
  const bool as_taken = seen->taking && seen->taking->lock_class == at->lock_class;
  const std::string made = as_taken ? std::string() : lock_wire::lock_key(element, at->lock_class);
  const std::string& key = as_taken ? seen->taking->key : made;
  const std::string number = std::to_string(fence);
  const std::array<std::string_view, 3> remove{"HDEL", key, number};
  const auto reply = client_.command(remove, call);
  if (!reply && reply.error().outcome == Outcome::unknown) return reply.error();
  if (!reply || reply->integer != 1) return false;
  holders.erase(at);
  if (holders.empty() && seen->rows.waiters.empty())
    remember(element, std::move(seen));
  else
    forget(element);
  return true;
}

Result<Locks::Seen> Locks::read(const std::string& element, const Call& call) {
  ARTCACHE_TRY(Swapped read, swap(element, nullptr, LockEdit(), call));
  pass_time(read.state);
  return std::make_unique<State>(std::move(read.state));
}

void Locks::pass_time(State& state) const {
  if (!state.rows.now) return;
  const Clock::SteadyTime at = deps_.clock->steady();
  *state.rows.now += std::chrono::duration_cast<std::chrono::microseconds>(at - state.at);
  state.at = at;
}

std::string Locks::time_text(const State& state) const {
  if (!state.rows.now) return {};
  const auto passed = deps_.clock->steady() - state.at;
  return std::to_string(
      (*state.rows.now + std::chrono::duration_cast<std::chrono::microseconds>(passed)).count());
}

std::optional<LockRows> Locks::known(std::string_view element) {
  const util::MutexLock guard(mutex_);
  const auto at = known_.find(element);
  if (at == known_.end() || !at->second) return std::nullopt;
  pass_time(*at->second);
  return at->second->rows;
}

Locks::Seen Locks::take_known(std::string_view element) {
  const util::MutexLock guard(mutex_);
  const auto at = known_.find(element);
  if (at == known_.end() || !at->second) return nullptr;
  pass_time(*at->second);
  return std::move(at->second);
}

void Locks::remember(std::string_view element, Seen state) {
  const util::MutexLock guard(mutex_);
  if (const auto at = known_.find(element); at != known_.end()) {
    at->second = std::move(state);
    return;
  }
  if (known_.size() >= kKnownMost) known_.clear();
  known_.emplace(element, std::move(state));
}

std::shared_ptr<const Locks::Taking> Locks::taking_of(std::string_view element,
                                                      LockClass lock_class) {
  std::string key = lock_wire::lock_key(element, lock_class);
  const util::MutexLock guard(mutex_);
  const auto at = takings_.find(key);
  if (at != takings_.end()) return at->second;
  if (takings_.size() >= kKnownMost * lock_wire::kClassCount) takings_.clear();
  auto taking = std::make_shared<const Taking>(
      Taking{lock_class, key, lock_wire::take_script(element, lock_class)});
  takings_.emplace(std::move(key), taking);
  return taking;
}

void Locks::forget(const std::string& element) {
  const util::MutexLock guard(mutex_);
  known_.erase(element);
}

Result<LockRows> Locks::likely_lock_rows(std::string_view element, const Call& call) {
  auto rows = known(element);
  if (!rows) return lock_rows(element, call);
  rows->likely = true;
  return std::move(*rows);
}

Result<std::vector<std::string>> Locks::elements(const Call& call) {
  std::set<std::string> found;
  std::string cursor = "0";
  const std::string pattern = std::string(lock_wire::kPrefix) + "*";
  do {
    const std::array<std::string_view, 6> scan{"SCAN", cursor, "MATCH", pattern, "COUNT", "1000"};
    ARTCACHE_TRY(const Reply reply, client_.command(scan, call));
    if (reply.items.size() != 2) return lock_wire::corrupt("an unexpected answer to SCAN");
    cursor = reply.items[0].text;
    for (const Reply& key : reply.items[1].items) {
      const std::string_view name = lock_wire::element_of(key.text);
      if (!name.empty()) found.emplace(name);
    }
  } while (cursor != "0");
  return std::vector<std::string>(found.begin(), found.end());
}

Result<LockRows> Locks::lock_rows(std::string_view element, const Call& call) {
  if (!element.empty()) {
    ARTCACHE_TRY(const Seen state, read(std::string(element), call));
    return std::move(state->rows);
  }
  LockRows all;
  ARTCACHE_TRY(const auto names, elements(call));
  for (const std::string& name : names) {
    ARTCACHE_TRY(const Seen state, read(name, call));
    all.now = state->rows.now;
    std::ranges::move(state->rows.holders, std::back_inserter(all.holders));
    std::ranges::move(state->rows.waiters, std::back_inserter(all.waiters));
  }
  return all;
}

Result<void> Locks::change_locks(std::string_view element, const Decide& decide,
                                 Durability durability, const Call& call) {
  const std::string name(element);
  return durability == Durability::now ? grant(name, decide, call) : edit(name, decide, call);
}

/// What an earlier call has seen is tried first, and whatever it leads to has been compared with
/// what is there, also a refusal.
Result<void> Locks::edit(const std::string& element, const Decide& decide, const Call& call) {
  Seen state = take_known(element);
  bool fresh = false;
  for (int i = 0; i < kTriesMost; ++i) {
    if (!state) {
      ARTCACHE_TRY(state, read(element, call));
      fresh = true;
    }
    const auto wanted = decide(state->rows);
    if (!wanted && fresh) return wanted.error();
    if (!wanted) {
      state.reset();
      continue;
    }
    if (fresh && is_empty(*wanted)) return {};
    if (is_usual_release(state->rows, *wanted)) {
      ARTCACHE_TRY(const bool gone, give(element, state, wanted->remove.front(), call));
      if (gone) return unregister(element, wanted->remove, call);
    }
    ARTCACHE_TRY(Swapped swapped, swap(element, state.get(), *wanted, call));
    if (swapped.done) return unregister(element, wanted->remove, call);
    *state = std::move(swapped.state);
    pass_time(*state);
    fresh = true;
  }
  return Error{Errc::busy, "redis locks: '" + element + "': too many change them at once"};
}

/// The first step of a grant. Where strangers turn up somebody else is probably at its second step:
/// nothing is done then, so that the state is looked at again before a commit is spent on it.
Result<LockEdit> Locks::mint(const std::string& element, State& state, const Decide& decide,
                             Strangers& strangers, const Call& call) {
  LockEdit wanted;
  const auto in_the_index = [&](const LockRows& kept) -> Result<LockEdit> {
    LockEdit own;
    Strangers now;
    for (const LockRows::Holder& holder : kept.holders)
      if (!holds(state.rows, holder.fence)) now.fences.push_back(holder.fence);
    now.are_new = !std::ranges::includes(strangers.fences, now.fences);
    strangers = std::move(now);
    if (strangers.are_new) return own;
    pass_time(state);
    state.rows.fence = kept.fence;
    ARTCACHE_TRY(wanted, decide(state.rows));
    own.minted = wanted.minted;
    for (const LockRows::Holder& holder : wanted.put)
      if (holder.fence == wanted.minted) own.put.push_back(holder);
    return own;
  };
  ARTCACHE_CHECK(index_.change_locks(element, std::ref(in_the_index), Durability::now, call));
  return wanted;
}

Result<void> Locks::grant(const std::string& element, const Decide& decide, const Call& call) {
  Seen state = take_known(element);
  bool fresh = false;
  Strangers strangers;
  for (int i = 0; i < kTriesMost; ++i) {
    if (!state) {
      ARTCACHE_TRY(state, read(element, call));
      fresh = true;
    }
    auto wanted = mint(element, *state, decide, strangers, call);
    if (!wanted && fresh) return wanted.error();
    if (!wanted || strangers.are_new) {
      state.reset();
      continue;
    }
    const bool usual = strangers.fences.empty() && is_usual_grant(state->rows, *wanted);
    Result<bool> taken = usual ? take(element, state, *wanted, call) : Result<bool>(false);
    if (taken && *taken) return {};
    auto swapped = !taken  ? Result<Swapped>(std::move(taken).error())
                   : usual ? swap(element, nullptr, LockEdit(), call)
                           : swap(element, state.get(), *wanted, call);
    const bool done = swapped && swapped->done;
    if (!done && wanted->minted != 0)
      (void)unregister(element, {wanted->minted}, Call().within(kAfterwards, *deps_.clock));
    if (!swapped) {
      if (swapped.error().outcome == Outcome::unknown) withdraw(element, wanted->minted);
      return std::move(swapped).error();
    }
    const State before = std::exchange(*state, std::move(swapped->state));
    fresh = true;
    if (!done) continue;
    // Without a grant nothing has moved: who is registered may be about to write its record.
    if (wanted->minted == 0) return {};
    for (const LockRows::Holder& holder : before.rows.holders)
      strangers.fences.push_back(holder.fence);
    for (const LockRows::Holder& holder : state->rows.holders)
      std::erase(strangers.fences, holder.fence);
    return unregister(element, std::move(strangers.fences), call);
  }
  return Error{Errc::busy, "redis locks: '" + element + "': too many change them at once"};
}

/// A record that may have been written, and of which its holder never heard. Best effort: otherwise
/// it ends with its time.
void Locks::withdraw(const std::string& element, std::uint64_t fence) {
  const Call call = Call().within(kWithdrawMost, *deps_.clock);
  auto state = read(element, call);
  if (state && holds((*state)->rows, fence)) (void)give(element, *state, fence, call);
}

Result<void> Locks::unregister(const std::string& element, std::vector<std::uint64_t> fences,
                               const Call& call) {
  if (fences.empty()) return {};
  const auto remove = [&](const LockRows& kept) -> Result<LockEdit> {
    LockEdit edit;
    for (const LockRows::Holder& holder : kept.holders)
      if (std::ranges::find(fences, holder.fence) != fences.end())
        edit.remove.push_back(holder.fence);
    return edit;
  };
  return index_.change_locks(element, remove, Durability::relaxed, call);
}

}  // namespace artcache::redis
