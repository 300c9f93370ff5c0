// SPDX-License-Identifier: Apache-2.0
// Where the ingester learns where storage elements are.
#pragma once

#include <artcache/url.hpp>
#include <functional>
#include <string>
#include <vector>

#include "common/service_token.hpp"
#include "roles/ingester/elements.hpp"

namespace artcache::ingester {

/// Addresses, and names that `address_of` knows, with commas between them.
ElementSource named_source(const std::string& names,
                           std::function<std::string(const std::string&)> address_of);

/// Those that are online in the list of the admin. http and token outlive the source.
ElementSource admin_source(std::function<std::string()> admin, web::HttpClient& http,
                           ServiceToken& token);

/// Those that announce themselves in Redis.
/// Errors: invalid_argument, unsupported (not compiled in).
Result<ElementSource> redis_source(const Url& url, const Deps& deps);

}  // namespace artcache::ingester
