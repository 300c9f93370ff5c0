// SPDX-License-Identifier: Apache-2.0
// Which elements there are, as settings, the admin and Redis name them, and what events say of one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "roles/query/query.hpp"

namespace artcache::query {

/// `se-01=http://host:8010,se-02`; an id without an address has an empty one. Errors:
/// invalid_argument (no id, no http or https address, an id twice).
Result<std::vector<Owner>> parse_elements(std::string_view text);

/// What an element says of itself, with its id and its address. Nothing when one of them is
/// missing.
std::optional<Owner> parse_element(std::string_view json);

/// The list of the admin, and that in Redis, where each element has an id and an address; others
/// are passed over. Errors: corrupt.
Result<std::vector<Owner>> parse_registry(std::string_view json);

/// The elements that are online. A token that the admin refuses is told to `reject`, and another
/// one tried. Errors: unavailable (no admin, no token, it refuses), timed_out, cancelled, corrupt.
Result<std::vector<Owner>> ask_registry(web::HttpClient& http, const std::string& admin,
                                        const Token& token, const RejectToken& reject,
                                        const Call& call);

/// Where an event of docs/formats/events.md has happened.
struct Heard {
  std::string element;
  std::uint64_t epoch = 0, seq = 0;  ///< 0: it does not say
};
/// Nothing when the text is no event of an element.
std::optional<Heard> parse_event(std::string_view json);

}  // namespace artcache::query
