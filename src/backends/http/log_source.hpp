// SPDX-License-Identifier: Apache-2.0
// A LogSource over the routes of docs/formats/log-protocol.md.
#pragma once

#include <artcache/http_log.hpp>

namespace artcache::http_log {

/// See open_http_log().
Result<std::unique_ptr<LogSource>> open(const HttpLogSettings& settings, const Deps& deps);

}  // namespace artcache::http_log
