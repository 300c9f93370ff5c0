// SPDX-License-Identifier: Apache-2.0
// Where the ingester learns where storage elements are.
#pragma once

#include <artcache/url.hpp>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "common/service_token.hpp"
#include "roles/ingester/elements.hpp"

namespace artcache::ingester {

/// The words of check_element_names(); `address_of` knows where instances are.
ElementSource named_source(const std::string& names,
                           std::function<std::string(const std::string&)> address_of);

/// Those that are online in the list of the admin. http and token outlive the source.
ElementSource admin_source(std::function<std::string()> admin, web::HttpClient& http,
                           ServiceToken& token);

/// Whether a message of the discovery channel is worth asking the elements: any but that one is
/// still there.
bool is_news(std::string_view message);

/// Those that announce themselves in Redis; it listens to their channel.
/// Errors: invalid_argument, unsupported (not compiled in).
Result<ElementSource> redis_source(const Url& url, const Deps& deps);

}  // namespace artcache::ingester
