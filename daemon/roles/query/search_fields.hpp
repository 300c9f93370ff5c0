// SPDX-License-Identifier: Apache-2.0
// A search as clients ask for it: in the query of a URL, or in a JSON body.
#pragma once

#include <artcache/result.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "http/message.hpp"
#include "roles/query/search.hpp"

namespace artcache::query {

/// Either a search, or the 422 that names all that is wrong with it.
std::variant<FileSearch, http::Problem> search_of_url(const http::Pairs& query);
std::variant<FileSearch, http::Problem> search_of_body(std::string body);

}  // namespace artcache::query
