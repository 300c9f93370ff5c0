// SPDX-License-Identifier: Apache-2.0
// What a site can do, told to programs: an OpenAPI 3 document made from its routes.
#pragma once

#include <string>
#include <string_view>

#include "http/site.hpp"

namespace artcache::http {

inline constexpr std::string_view kOpenApiPath = "/openapi.json";

/// Every route of the site but this document itself is in it, with the names in its path and its
/// query, what is in its body, whether it needs a token, and which refusals that makes possible.
std::string openapi(const Site& site);

}  // namespace artcache::http
