// SPDX-License-Identifier: Apache-2.0
// What is written down of a holder and of one who waits: docs/formats/lock-record.md.
#pragma once

#include <artcache/lock_manager.hpp>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/locks/lock_names.hpp"

namespace artcache::locks {

/// A moment of the one clock that judges all records of a backend. Only differences mean anything;
/// which clock it is, the format page says for each backend.
using Time = std::chrono::microseconds;

inline constexpr std::chrono::milliseconds kTtlLeast{100};
inline constexpr std::chrono::milliseconds kTtlMost = std::chrono::hours(24);
inline constexpr std::size_t kNameMost = 64;  ///< bytes of an owner, a waiter
/// Bytes of what is locked: an element, or what lock_names.hpp makes of one.
inline constexpr std::size_t kLockMost = kElementMost + kFilesPrefix.size();
inline constexpr std::size_t kTextMost = 200;  ///< bytes of host, operation, progress, place

/// One registered holder. While it stands, commits with its fence are let through, whatever the
/// time: only that it is taken away ends its right to write.
struct LockRecord {
  LockClass lock_class = LockClass::manual_rebuild;
  std::string owner;  ///< no other grant has it
  std::string host;   ///< for people
  std::string place;  ///< where the kernel lock of the holder is (util/owner_lock.hpp); or empty
  std::string operation, progress;
  std::uint64_t fence = 0;
  std::chrono::milliseconds ttl{0};
  Timestamp acquired_at;  ///< wall time, for people; decides nothing
  Time acquired{0}, renewed{0}, expires{0};
  bool asked_to_yield = false;

  friend bool operator==(const LockRecord&, const LockRecord&) = default;
};

/// One who was refused and tries again. Whoever stops trying is forgotten at `until`.
struct Waiter {
  LockClass lock_class = LockClass::manual_rebuild;
  std::string name;  ///< LockRequest::waiter
  Time since{0}, until{0};

  friend bool operator==(const Waiter&, const Waiter&) = default;
};

/// All there is about one element.
struct ElementLocks {
  std::vector<LockRecord> holders;
  std::vector<Waiter> waiters;
};

std::string encode(const LockRecord& record);
std::string encode(const Waiter& waiter);
/// Whether encode() wrote it for this owner, told without reading all of it. False says nothing.
bool is_of(std::string_view json, std::string_view owner);
/// Members they do not know are ignored. Errors: corrupt, naming the member.
Result<LockRecord> decode_record(std::string_view json);
Result<Waiter> decode_waiter(std::string_view json);

/// Whether it is 1 to `most` of letters, digits, '.', '_', '-'.
bool is_name(std::string_view text, std::size_t most);
/// Element: a name of up to kLockMost; the waiter one of up to kNameMost, or empty; a TTL from
/// 100 ms to a day. Errors: invalid_argument.
Result<void> check_request(const LockRequest& request);

/// As `list` shows it.
LockHolder to_holder(std::string_view element, const LockRecord& record, Time now);
/// Highest class first, the longest there first within a class.
void sort_holders(std::vector<LockHolder>& holders);

}  // namespace artcache::locks
