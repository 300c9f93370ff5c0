// SPDX-License-Identifier: Apache-2.0
#include "roles/trust.hpp"

#include <utility>

#include "util/here.hpp"

namespace artcache {
namespace {

// An I/O thread may wait so long for files that are local as a rule, and once where they hang.
constexpr std::chrono::milliseconds kPatience{1000};
// And so long whoever starts the role or has it read them.
constexpr std::chrono::milliseconds kLongPatience{5000};

}  // namespace

Trust::Trust(const config::Settings& told, const Deps& deps, auth::Wording wording)
    : deps_(deps),
      place_(told.text("public_key")),
      files_(ring_, deps),
      watch_(
          [this, place = place_]() -> auth::KeyWatch::Take {
            return [this, read = auth::read_key_files(place)] { (void)files_.take(read); };
          },
          [this] { files_.tell(); }),
      verifier_(ring_, *deps.clock,
                {.refresh = [this] { (void)watch_.read_now(kPatience); },
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
  if (watch_.read_now(kLongPatience)) return;
  const std::string source = util::here();
  const LogField fields[] = {{"source", source}};
  deps_.logger->log({.level = LogLevel::error,
                     .logger = "auth",
                     .message = to_string(late()),
                     .fields = fields,
                     .request_id = {}});
}

Result<void> Trust::reload() {
  if (watch_.read_now(kLongPatience)) return files_.last();
  return late();
}

Error Trust::late() const {
  return {Errc::timed_out, "keys: '" + place_.string() +
                               "' does not answer in time; until it does, the known ones count"};
}

HealthPart Trust::health() const {
  const bool any = !ring_.keys()->all.empty();
  return {.name = "keys", .state = any ? "ok" : "none", .works = any};
}

}  // namespace artcache
