// SPDX-License-Identifier: Apache-2.0
#include "roles/trust.hpp"

#include <utility>

namespace artcache {
namespace {

// An I/O thread may wait so long for files that are local as a rule, and once where they hang.
constexpr std::chrono::milliseconds kPatience{1000};

}  // namespace

Trust::Trust(const config::Settings& told, const Deps& deps, auth::Wording wording)
    : files_(told.text("public_key"), ring_, deps),
      watch_([this] { files_.refresh(); }),
      verifier_(ring_, *deps.clock,
                {.refresh = [this] { watch_.read_now(kPatience); },
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

HealthPart Trust::health() const {
  const bool any = !ring_.keys()->all.empty();
  return {.name = "keys", .state = any ? "ok" : "none", .works = any};
}

}  // namespace artcache
