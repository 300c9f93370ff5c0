// SPDX-License-Identifier: Apache-2.0
// What goes over the wire for the locks in Redis: the names of keys, what is said to the scripts
// and what they answer. No state, and nothing is decided here.
#pragma once

#include <artcache/lock_manager.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "redis/connection.hpp"

namespace artcache::redis::lock_wire {

inline constexpr std::string_view kPrefix = "cache_lock:";
inline constexpr std::size_t kClassCount = 4;
/// Those that script() is given before its other words.
inline constexpr std::size_t kKeys = kClassCount + 2;
/// Stands for the last fence of a long grant where there is none.
inline constexpr std::string_view kNoLast = "-";

Error corrupt(std::string_view what);

std::string lock_key(std::string_view element, LockClass lock_class);
/// Of the key of a lock; empty if there is none in it.
std::string_view element_of(std::string_view key);

/// In milliseconds: what a lock of this class lives for unless its holder says otherwise.
std::int64_t usual_life(LockClass lock_class);
std::string life_of(const LockRows::Holder& holder);

/// kLockScript, which reads and writes everything about one element.
const Script& script();
/// kTakeScript of one lock.
Script take_script(std::string_view element, LockClass lock_class);

/// What script() compares with.
std::string looks_like(const std::string& last, const std::vector<LockRows::Holder>& holders);
/// The keys of script(), and its words: what was seen, or nothing to read alone; the time that it
/// was decided for, or nothing; the edit.
std::vector<std::string> words_of(std::string_view element, std::string looks, std::string decided,
                                  const LockEdit& edit);

struct Answer {
  bool done = false;
  std::string last;
  LockRows rows;  ///< as they are now, with the time of the server
};
/// Errors: busy (a key is held by another program), corrupt.
Result<Answer> answer_of(const std::string& element, const Reply& reply);

}  // namespace artcache::redis::lock_wire
