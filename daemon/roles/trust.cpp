// SPDX-License-Identifier: Apache-2.0
#include "roles/trust.hpp"

#include <utility>

namespace artcache {

Trust::Trust(const config::Settings& told, const Deps& deps, auth::Wording wording)
    : files_(told.text("public_key"), ring_, deps),
      verifier_(ring_, *deps.clock,
                {.refresh = [this] { files_.refresh(); }, .metrics = deps.metrics}),
      gate_(verifier_, deps,
            {.wording = std::move(wording),
             .limits = told.flag("rate_limit") ? auth::RateLimits::on : auth::RateLimits::off}) {}

HealthPart Trust::health() const {
  const bool any = !ring_.keys()->all.empty();
  return {.name = "keys", .state = any ? "ok" : "none", .works = any};
}

}  // namespace artcache
