// SPDX-License-Identifier: Apache-2.0
// How a temporary file becomes a permanent one: in two phases, so that whenever the process ends
// there is one copy that counts. First the copy is made and compared, which may be done again and
// again; then one commit says that it counts, and from then on the source is to be removed. Until
// that commit the source counts, and the copy is what is removed when it cannot be finished.
// No I/O, no clock: what is stored, and what follows from what happened.
#pragma once

#include <artcache/result.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace artcache::ingester {

/// In this order; the last two are ends.
enum class FinalizeStatus : std::uint8_t { copying, copied, verifying, completed, failed };
std::string_view to_string(FinalizeStatus status);
std::optional<FinalizeStatus> parse_finalize_status(std::string_view text);
/// 25, 50, 75, 100; 0 when it failed.
int progress_percent(FinalizeStatus status);
constexpr bool is_end(FinalizeStatus status) {
  return status == FinalizeStatus::completed || status == FinalizeStatus::failed;
}

/// What is stored of it, and is all that is needed to go on after a crash.
struct FinalizeState {
  FinalizeStatus status = FinalizeStatus::copying;
  std::uint32_t attempts = 0;  ///< of the step at hand that came to nothing
  bool checksum_verified = false;
  std::string error = {};  ///< of the last attempt; stays when it failed
};

/// What is to be done next. Each may be repeated after a crash.
enum class FinalizeStep : std::uint8_t {
  copy,    ///< source to target, under the same id; done at once when the copy is there
  verify,  ///< what the target says of its copy against what the source says
  none,    ///< an end
};
FinalizeStep next_step(const FinalizeState& state);
/// The state while that step runs, for those who look on.
FinalizeState begun(FinalizeState state);

/// What must be stored together with the state, in one transaction.
enum class FinalizeEffect : std::uint8_t {
  none,
  remove_source,  ///< later, once nobody may read it there any more
  remove_target,  ///< soon: that copy does not count
};

struct FinalizeMove {
  FinalizeState state = {};
  FinalizeEffect effect = FinalizeEffect::none;
  bool again = false;  ///< the same step, after a pause
};

/// How a step ended: nothing for success. A step that was stopped (cancelled) is no attempt. Errors
/// that trying again may cure: unavailable, timed_out, busy, lease_lost, no_space, internal.
FinalizeMove after_step(FinalizeState state, const std::optional<Error>& failure,
                        std::uint32_t attempts_most);

}  // namespace artcache::ingester
