// SPDX-License-Identifier: Apache-2.0
// Reads that may not be older than the client has seen already, and the position that tells.
#pragma once

#include <artcache/call.hpp>
#include <functional>
#include <optional>

#include "http/site.hpp"
#include "roles/element/element.hpp"

namespace artcache::element {

/// Adds the position to every answer that is no refusal.
http::Handler positioned(Element& element, http::Handler handler);

/// As QuickHandler, within that call: it ends in a moment.
using BriefHandler = std::function<std::optional<http::Reply>(http::Request&, const Call&)>;
/// Likewise; what cannot be told in that moment, the position neither, is left to the worker.
http::QuickHandler positioned_quick(Element& element, BriefHandler handler);

/// That, and refuses reads that would not keep the bound of their query: 410 when the log cannot
/// vouch for the position, 503 while the index is suspect.
http::Handler bounded(Element& element, http::Handler handler);

}  // namespace artcache::element
