// SPDX-License-Identifier: Apache-2.0
#include "roles/ingester/finalize_machine.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace artcache::ingester {
namespace {

constexpr std::array<std::pair<FinalizeStatus, std::string_view>, 5> kWords{{
    {FinalizeStatus::copying, "copying"},
    {FinalizeStatus::copied, "copied"},
    {FinalizeStatus::verifying, "verifying"},
    {FinalizeStatus::completed, "completed"},
    {FinalizeStatus::failed, "failed"},
}};

bool may_pass(Errc code) {
  switch (code) {
    case Errc::unavailable:
    case Errc::timed_out:
    case Errc::busy:
    case Errc::lease_lost:
    case Errc::no_space:
    case Errc::internal:
      return true;
    default:
      return false;
  }
}

FinalizeMove succeeded(FinalizeState state) {
  state.attempts = 0;
  state.error.clear();
  switch (state.status) {
    case FinalizeStatus::copying:
      state.status = FinalizeStatus::copied;
      break;
    case FinalizeStatus::copied:
    case FinalizeStatus::verifying:
      state.status = FinalizeStatus::completed;
      state.checksum_verified = true;
      return {.state = std::move(state), .effect = FinalizeEffect::remove_source};
    case FinalizeStatus::completed:
    case FinalizeStatus::failed:
      break;
  }
  return {.state = std::move(state)};
}

}  // namespace

std::string_view to_string(FinalizeStatus status) {
  return kWords[static_cast<std::size_t>(status)].second;
}

std::optional<FinalizeStatus> parse_finalize_status(std::string_view text) {
  const auto found =
      std::ranges::find(kWords, text, &std::pair<FinalizeStatus, std::string_view>::second);
  if (found == kWords.end()) return std::nullopt;
  return found->first;
}

int progress_percent(FinalizeStatus status) {
  return status == FinalizeStatus::failed ? 0 : 25 * (static_cast<int>(status) + 1);
}

FinalizeStep next_step(const FinalizeState& state) {
  if (is_end(state.status)) return FinalizeStep::none;
  return state.status == FinalizeStatus::copying ? FinalizeStep::copy : FinalizeStep::verify;
}

FinalizeState begun(FinalizeState state) {
  if (state.status == FinalizeStatus::copied) state.status = FinalizeStatus::verifying;
  return state;
}

FinalizeMove after_step(FinalizeState state, const std::optional<Error>& failure,
                        std::uint32_t attempts_most) {
  if (is_end(state.status)) return {.state = std::move(state)};
  if (!failure) return succeeded(std::move(state));
  // The process ends or the like: it goes on where it was.
  if (failure->code == Errc::cancelled) return {.state = std::move(state), .again = true};
  state.error = failure->message;
  if (may_pass(failure->code) && ++state.attempts < attempts_most)
    return {.state = std::move(state), .again = true};
  state.status = FinalizeStatus::failed;
  return {.state = std::move(state), .effect = FinalizeEffect::remove_target};
}

}  // namespace artcache::ingester
