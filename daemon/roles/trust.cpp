// SPDX-License-Identifier: Apache-2.0
#include "roles/trust.hpp"

#include <utility>

namespace artcache {
namespace {

// An I/O thread may wait so long for files that are local as a rule, and once where they hang.
constexpr std::chrono::milliseconds kPatience{1000};
// And so long whoever starts the role or has it read them.
constexpr std::chrono::milliseconds kLongPatience{5000};

}  // namespace

Trust::Trust(const config::Settings& told, const Deps& deps, auth::Wording wording)
    : place_(told.text("public_key")),
      files_(place_, ring_, deps),
      watch_([this, place = place_]() -> auth::KeyWatch::Take {
        return [this, read = auth::read_key_files(place)] { (void)files_.take(read); };
      }),
      verifier_(ring_, *deps.clock,
                {.refresh = [this] { (void)read_within(kPatience); },
                 .refresh_every = std::chrono::milliseconds(0),
                 .metrics = deps.metrics}),
      gate_(verifier_, deps,
            {.wording = std::move(wording),
             .limits = told.flag("rate_limit") ? auth::RateLimits::on : auth::RateLimits::off}) {}

Result<void> Trust::check(const config::Settings& told) {
  if (!told.text("public_key").empty()) return {};
  return Error{Errc::invalid_argument,
               "public_key: nobody could sign a token that is accepted here; it names the key of "
               "the admin, or a folder of such"};
}

void Trust::start() {
  watch_.start();
  (void)reload();
}

Result<void> Trust::reload() { return read_within(kLongPatience); }

Result<void> Trust::read_within(auth::KeyWatch::Time patience) {
  if (watch_.read_now(patience)) return files_.last();
  return files_.take(
      Error{Errc::timed_out, "keys: '" + place_.string() + "' does not answer in time"});
}

HealthPart Trust::health() const {
  const bool any = !ring_.keys()->all.empty();
  return {.name = "keys", .state = any ? "ok" : "none", .works = any};
}

}  // namespace artcache
