// SPDX-License-Identifier: Apache-2.0
#include "backends/redis/lock_wire.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>
#include <optional>
#include <utility>

#include "backends/redis/lock_script.hpp"
#include "util/try.hpp"

namespace artcache::redis::lock_wire {
namespace {

constexpr std::string_view kWaitersPrefix = "artcache:lock_waiters:";
constexpr std::string_view kLastPrefix = "artcache:lock_last:";
/// Who waits says so again every few seconds, or is forgotten by what decides; this is tidying up.
constexpr std::string_view kWaiterLife = "60000";
constexpr std::array kClasses{LockClass::manual_rebuild, LockClass::manual_check,
                              LockClass::lazy_rebuild, LockClass::background_cleanup};
static_assert(kClasses.size() == kClassCount);

template <class Number>
std::optional<Number> number_of(std::string_view text) {
  Number out{};
  const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || at != text.data() + text.size()) return std::nullopt;
  return out;
}

std::string name_of(std::string_view prefix, std::string_view element, std::string_view rest = {}) {
  std::string name;
  name.reserve(prefix.size() + element.size() + 1 + rest.size());
  name.append(prefix).append(element);
  if (!rest.empty()) name.append(":").append(rest);
  return name;
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

std::string waiter_field(const LockRows::Waiter& waiter) {
  return std::string(to_string(waiter.lock_class)) + ":" + waiter.name;
}

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

Result<std::chrono::microseconds> time_of(const Reply& seconds, const Reply& micros) {
  const auto whole = number_of<std::int64_t>(seconds.text);
  const auto rest = number_of<std::int64_t>(micros.text);
  if (!whole || !rest) return corrupt("a time that is none");
  return std::chrono::seconds(*whole) + std::chrono::microseconds(*rest);
}

}  // namespace

Error corrupt(std::string_view what) {
  return Error{Errc::corrupt, "redis locks: " + std::string(what)};
}

std::string lock_key(std::string_view element, LockClass lock_class) {
  return name_of(kPrefix, element, to_string(lock_class));
}

std::string_view element_of(std::string_view key) {
  const std::string_view name = key.substr(std::min(kPrefix.size(), key.size()));
  return name.substr(0, name.find(':'));
}

std::int64_t usual_life(LockClass lock_class) { return default_ttl(lock_class).count(); }

std::string life_of(const LockRows::Holder& holder) {
  return std::to_string(std::max<std::int64_t>(holder.life.count(), 1));
}

const Script& script() {
  static const Script all(kLockScript);
  return all;
}

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

std::vector<std::string> words_of(std::string_view element, std::string looks, std::string decided,
                                  const LockEdit& edit) {
  std::vector<std::string> words;
  std::ranges::move(keys_of(element), std::back_inserter(words));
  words.push_back(std::move(looks));
  words.push_back(std::move(decided));
  for (const std::uint64_t fence : edit.remove) {
    words.push_back("remove");
    words.push_back(std::to_string(fence));
  }
  for (const LockRows::Holder& holder : edit.put) {
    words.push_back("put");
    words.push_back(std::to_string(static_cast<int>(holder.lock_class)));
    words.push_back(std::to_string(holder.fence));
    words.push_back(holder.text);
    words.push_back(life_of(holder));
  }
  for (const LockRows::Waiter& waiter : edit.forget) {
    words.push_back("forget");
    words.push_back(waiter_field(waiter));
  }
  for (const LockRows::Waiter& waiter : edit.wait) {
    words.push_back("wait");
    words.push_back(waiter_field(waiter));
    words.push_back(waiter.text);
    words.push_back(std::string(kWaiterLife));
  }
  return words;
}

Result<Answer> answer_of(const std::string& element, const Reply& reply) {
  if (reply.is(Reply::Kind::text))
    return Error{Errc::busy, "redis locks: '" + reply.text + "' is held by another program"};
  if (reply.items.size() != 6) return corrupt("an unexpected answer to the script");
  Answer out;
  out.done = reply.items[0].integer == 1;
  out.last = reply.items[1].text;
  ARTCACHE_TRY(out.rows.now, time_of(reply.items[2], reply.items[3]));
  ARTCACHE_CHECK(read_holders(element, reply.items[4], out.rows));
  ARTCACHE_CHECK(read_waiters(element, reply.items[5], out.rows));
  return out;
}

}  // namespace artcache::redis::lock_wire
