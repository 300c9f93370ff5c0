// SPDX-License-Identifier: Apache-2.0
#include "common/answering.hpp"

#include <chrono>
#include <utility>

namespace artcache {
namespace {

constexpr std::chrono::minutes kOtherReason{1};

}  // namespace

void Answering::note(const Result<void>& done) {
  if (!done && done.error().code == Errc::cancelled) return;
  const auto now = deps_.clock->steady();
  bool told = false;
  std::string reason;
  {
    const util::MutexLock lock(mutex_);
    asked_ = true;
    if (done) {
      told = failure_.has_value();
      failure_.reset();
      reason = std::exchange(told_, {});
    } else {
      const bool begins = !failure_.has_value();
      failure_ = done.error();
      reason = to_string(*failure_);
      told = begins || (reason != told_ && now - told_at_ >= kOtherReason);
      if (told) {
        told_ = reason;
        told_at_ = now;
      }
    }
  }
  if (!told) return;
  if (done)
    log(LogLevel::info, "Storage elements are named again", reason);
  else
    log(LogLevel::warning, "Who names storage elements does not; those that were known count",
        reason);
}

std::string Answering::state() const {
  const util::MutexLock lock(mutex_);
  if (!asked_) return {};
  return failure_ ? std::string(to_string(failure_->code)) : "ok";
}

void Answering::log(LogLevel level, std::string_view message, std::string_view reason) const {
  const LogField fields[]{{"source", std::string_view(who_)}, {"reason", reason}};
  deps_.logger->log(
      {.level = level, .logger = logger_, .message = message, .fields = fields, .request_id = {}});
}

}  // namespace artcache
