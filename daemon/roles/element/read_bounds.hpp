// SPDX-License-Identifier: Apache-2.0
// Reads that may not be older than the client has seen already, and the position that tells.
#pragma once

#include "http/site.hpp"
#include "roles/element/element.hpp"

namespace artcache::element {

/// Adds the position to every answer that is no refusal.
http::Handler positioned(Element& element, http::Handler handler);
http::QuickHandler positioned_quick(Element& element, http::QuickHandler handler);
/// That, and refuses reads that would not keep the bound of their query: 410 when the log cannot
/// vouch for the position, 503 while the index is suspect.
http::Handler bounded(Element& element, http::Handler handler);

}  // namespace artcache::element
