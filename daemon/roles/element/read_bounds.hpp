// SPDX-License-Identifier: Apache-2.0
// Reads that may not be older than the client has seen already, and the position that tells.
#pragma once

#include <artcache/read_bound.hpp>
#include <string_view>

#include "http/site.hpp"
#include "roles/element/element.hpp"
#include "roles/element/file_fields.hpp"

namespace artcache::element {

/// Of the index: no change behind it is in the answer.
inline constexpr std::string_view kPositionHeader = "X-Artcache-Position";

/// `min_position` and `max_staleness`, in seconds. What is wrong is in fields.problems().
ReadBound read_bound(QueryFields& fields);

/// Adds the position to every answer that is no refusal.
http::Handler positioned(Element& element, http::Handler handler);
/// That, and refuses reads that would not keep the bound of their query: 410 when the log cannot
/// vouch for the position, 503 while the index is suspect.
http::Handler bounded(Element& element, http::Handler handler);

}  // namespace artcache::element
