// SPDX-License-Identifier: Apache-2.0
// How much of a disk or a server a long run may take for itself.
#pragma once

#include <artcache/call.hpp>
#include <artcache/clock.hpp>
#include <artcache/export.hpp>
#include <artcache/result.hpp>
#include <cstdint>
#include <memory>

namespace artcache {

/// Two rates, shared by all who take from one object, changed at any time while they run. Without
/// one nobody waits. Safe to call from any thread.
class ARTCACHE_EXPORT IoBudget {
 public:
  explicit IoBudget(const Clock& clock = system_clock());
  ~IoBudget();
  IoBudget(const IoBudget&) = delete;
  IoBudget& operator=(const IoBudget&) = delete;

  /// 0: as many as there are.
  void set_files_per_second(std::uint64_t files);
  void set_bytes_per_second(std::uint64_t bytes);

  /// Waits until so much may be done. What is more than a second's worth is let in and paid for
  /// by those who come later. Errors: timed_out, cancelled.
  Result<void> take(std::uint64_t files, std::uint64_t bytes, const Call& call);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace artcache
