// SPDX-License-Identifier: Apache-2.0
// Which elements there are, as settings and the admin name them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "roles/query/query.hpp"

namespace artcache::query {

/// `se-01=http://host:8010,se-02`; an id without an address has an empty one. Errors:
/// invalid_argument (no id, no http or https address, an id twice).
Result<std::vector<Owner>> parse_elements(std::string_view text);

/// The admin's list, where each element has an id and an address; others are passed over.
/// Errors: corrupt.
Result<std::vector<Owner>> parse_registry(std::string_view json);

/// The elements that are online. Errors: unavailable (no admin, no token, it refuses), timed_out,
/// cancelled, corrupt.
Result<std::vector<Owner>> ask_registry(web::HttpClient& http, const std::string& admin,
                                        const Token& token, const Call& call);

}  // namespace artcache::query
