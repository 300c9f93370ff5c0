// SPDX-License-Identifier: Apache-2.0
#include "backends/redis/lock_store.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <set>
#include <utility>

#include "backends/redis/lock_script.hpp"
#include "util/try.hpp"

namespace artcache::redis {
namespace {

constexpr std::string_view kLockPrefix = "cache_lock:";
constexpr std::string_view kWaitersPrefix = "artcache:lock_waiters:";
constexpr std::string_view kLastPrefix = "artcache:lock_last:";
/// Who waits says so again every few seconds, or is forgotten by what decides; this is tidying up.
constexpr std::string_view kWaiterLife = "60000";
/// A request that others were faster than so often is busy.
constexpr int kTriesMost = 200;
/// For tidying up after a call that has no time left.
constexpr std::chrono::seconds kAfterwards{2};
constexpr std::chrono::milliseconds kWithdrawMost{100};
/// A grant goes by what the server said of its clock so lately: set a moment later it would be no
/// different.
constexpr std::chrono::seconds kTimeStands{1};
constexpr std::size_t kKnownMost = 256;
constexpr std::string_view kNoLast = "-";
constexpr std::size_t kKeys = 6;
constexpr std::array kClasses{LockClass::manual_rebuild, LockClass::manual_check,
                              LockClass::lazy_rebuild, LockClass::background_cleanup};

const Script& lock_script() {
  static const Script script(kLockScript);
  return script;
}

template <class Number>
std::optional<Number> number_of(std::string_view text) {
  Number out{};
  const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || at != text.data() + text.size()) return std::nullopt;
  return out;
}

Error corrupt(std::string_view what) {
  return Error{Errc::corrupt, "redis locks: " + std::string(what)};
}

std::string name_of(std::string_view prefix, std::string_view element, std::string_view rest = {}) {
  std::string name;
  name.reserve(prefix.size() + element.size() + 1 + rest.size());
  name.append(prefix).append(element);
  if (!rest.empty()) name.append(":").append(rest);
  return name;
}

std::string lock_key(std::string_view element, LockClass lock_class) {
  return name_of(kLockPrefix, element, to_string(lock_class));
}

/// In the order that the script takes them in.
std::array<std::string, kKeys> keys_of(std::string_view element) {
  std::array<std::string, kKeys> keys;
  for (std::size_t i = 0; i < kClasses.size(); ++i) keys[i] = lock_key(element, kClasses[i]);
  keys[4] = name_of(kWaitersPrefix, element);
  keys[5] = name_of(kLastPrefix, element);
  return keys;
}

/// As a text of Lua.
std::string quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > ' ' && byte <= '~' && c != '\'' && c != '\\')
      out.push_back(c);
    else
      out.append("\\").append(std::to_string(1000 + byte), 1, 3);
  }
  return out.append("'");
}

std::int64_t usual_life(LockClass lock_class) { return default_ttl(lock_class).count(); }

Script take_script(std::string_view element, LockClass lock_class) {
  std::vector<std::string> words;
  std::ranges::move(keys_of(element), std::back_inserter(words));
  words.push_back(std::to_string(usual_life(lock_class)));
  words.push_back(lock_key(element, lock_class));
  std::string text;
  for (std::size_t i = 0; i < kTakeScript.size(); ++i) {
    if (kTakeScript[i] == '$')
      text.append(quoted(words[static_cast<std::size_t>(kTakeScript[++i] - '1')]));
    else
      text.push_back(kTakeScript[i]);
  }
  return Script(text);
}

std::string waiter_field(const LockRows::Waiter& waiter) {
  return std::string(to_string(waiter.lock_class)) + ":" + waiter.name;
}

std::string life_of(const LockRows::Holder& holder) {
  return std::to_string(std::max<std::int64_t>(holder.life.count(), 1));
}

/// The words of an edit after the keys; `texts` keeps what was made for them.
class Words {
 public:
  void add(std::string text) { texts_.push_back(std::move(text)); }
  void add_keys(const std::string& element) {
    for (std::string& key : keys_of(element)) add(std::move(key));
  }
  void add(const LockEdit& edit) {
    for (const std::uint64_t fence : edit.remove) {
      add("remove");
      add(std::to_string(fence));
    }
    for (const LockRows::Holder& holder : edit.put) {
      add("put");
      add(std::to_string(static_cast<int>(holder.lock_class)));
      add(std::to_string(holder.fence));
      add(holder.text);
      add(life_of(holder));
    }
    for (const LockRows::Waiter& waiter : edit.forget) {
      add("forget");
      add(waiter_field(waiter));
    }
    for (const LockRows::Waiter& waiter : edit.wait) {
      add("wait");
      add(waiter_field(waiter));
      add(waiter.text);
      add(std::string(kWaiterLife));
    }
  }
  [[nodiscard]] std::vector<std::string_view> views() const {
    return {texts_.begin(), texts_.end()};
  }

 private:
  std::vector<std::string> texts_;
};

Result<void> read_holders(const std::string& element, const Reply& reply, LockRows& rows) {
  for (std::size_t i = 0; i + 2 < reply.items.size(); i += 3) {
    const auto number = number_of<std::size_t>(reply.items[i].text);
    const auto fence = number_of<std::uint64_t>(reply.items[i + 1].text);
    if (!number || *number < 1 || *number > kClasses.size()) return corrupt("a class of no name");
    const LockClass lock_class = kClasses[*number - 1];
    if (!fence || *fence == 0)
      return corrupt("'" + lock_key(element, lock_class) + "' has a field that is no fence");
    rows.holders.push_back({element, *fence, lock_class, reply.items[i + 2].text});
  }
  return {};
}

Result<void> read_waiters(const std::string& element, const Reply& reply, LockRows& rows) {
  for (std::size_t i = 0; i + 1 < reply.items.size(); i += 2) {
    const std::string& field = reply.items[i].text;
    const std::size_t colon = field.find(':');
    const auto lock_class = parse_lock_class(std::string_view(field).substr(0, colon));
    if (colon == std::string::npos || !lock_class)
      return corrupt("'" + std::string(kWaitersPrefix) + element + "' has a field of no class");
    rows.waiters.push_back(
        {element, *lock_class, field.substr(colon + 1), reply.items[i + 1].text});
  }
  return {};
}

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

/// What the script compares with.
std::string looks_like(const std::string& last, const std::vector<LockRows::Holder>& holders) {
  std::string out = last;
  const auto add = [&out](std::string_view text) {
    out.append(" ").append(std::to_string(text.size())).append(" ").append(text);
  };
  for (const LockRows::Holder& holder : holders) {
    add(std::to_string(static_cast<int>(holder.lock_class)));
    add(std::to_string(holder.fence));
    add(holder.text);
  }
  return out;
}

Result<std::chrono::microseconds> time_of(const Reply& seconds, const Reply& micros) {
  const auto whole = number_of<std::int64_t>(seconds.text);
  const auto rest = number_of<std::int64_t>(micros.text);
  if (!whole || !rest) return corrupt("a time that is none");
  return std::chrono::seconds(*whole) + std::chrono::microseconds(*rest);
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
  Words words;
  words.add_keys(element);
  words.add(seen == nullptr ? std::string() : looks_like(seen->last, seen->rows.holders));
  words.add(seen == nullptr ? std::string() : time_text(*seen));
  words.add(edit);
  Swapped out;
  out.state.at = out.state.heard = deps_.clock->steady();
  ARTCACHE_TRY(const Reply reply, client_.run(lock_script(), kKeys, words.views(), call));
  if (reply.is(Reply::Kind::text))
    return Error{Errc::busy, "redis locks: '" + reply.text + "' is held by another program"};
  if (reply.items.size() != 6) return corrupt("an unexpected answer to the script");
  out.done = reply.items[0].integer == 1;
  out.state.last = reply.items[1].text;
  ARTCACHE_TRY(const auto now, time_of(reply.items[2], reply.items[3]));
  // The server's clock counts, unless the host has one of its own for everything.
  if (deps_.clock == &system_clock()) out.state.rows.now = now;
  ARTCACHE_CHECK(read_holders(element, reply.items[4], out.state.rows));
  ARTCACHE_CHECK(read_waiters(element, reply.items[5], out.state.rows));
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
  const std::string life =
      holder.life.count() == usual_life(holder.lock_class) ? std::string() : life_of(holder);
  const std::string_view last = seen->last == kNoLast ? std::string_view() : seen->last;
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
  const std::string made = as_taken ? std::string() : lock_key(element, at->lock_class);
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
  std::string key = lock_key(element, lock_class);
  const util::MutexLock guard(mutex_);
  const auto at = takings_.find(key);
  if (at != takings_.end()) return at->second;
  if (takings_.size() >= kKnownMost * kClasses.size()) takings_.clear();
  auto taking =
      std::make_shared<const Taking>(Taking{lock_class, key, take_script(element, lock_class)});
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
  const std::string pattern = std::string(kLockPrefix) + "*";
  do {
    const std::array<std::string_view, 6> scan{"SCAN", cursor, "MATCH", pattern, "COUNT", "1000"};
    ARTCACHE_TRY(const Reply reply, client_.command(scan, call));
    if (reply.items.size() != 2) return corrupt("an unexpected answer to SCAN");
    cursor = reply.items[0].text;
    for (const Reply& key : reply.items[1].items) {
      std::string_view name = std::string_view(key.text).substr(kLockPrefix.size());
      name = name.substr(0, name.find(':'));
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
