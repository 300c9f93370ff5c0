// SPDX-License-Identifier: Apache-2.0
// The log of an index in another process, which serves it over HTTP (docs/formats/log-protocol.md).
#pragma once

#include <artcache/backends.hpp>
#include <artcache/export.hpp>
#include <artcache/follower.hpp>
#include <artcache/result.hpp>
#include <artcache/url.hpp>
#include <functional>
#include <memory>
#include <string>

namespace artcache {

struct HttpLogSettings {
  /// `http://host:port` of an element, perhaps with a path before `/api/v1/log` and `?ca=FILE` of
  /// the authorities to trust.
  std::string url = {};
  /// Asked before each request, so that a token may be renewed; called from any thread. None: no
  /// token is sent.
  std::function<Result<std::string>(const Call&)> token = {};
  /// Told of a token that was answered with 401, before `token` is asked again for one more try;
  /// called from any thread. None: a refused token is an error at once.
  std::function<void(const std::string& token)> reject = {};
};

/// Connects with the first request. Errors of the source: unavailable, timed_out, cancelled, gone,
/// corrupt (no answer of the protocol), invalid_argument (refused: the token, the address).
/// Errors: invalid_argument (no such URL), unsupported (left out of this build).
ARTCACHE_EXPORT Result<std::unique_ptr<LogSource>> open_http_log(const HttpLogSettings& settings,
                                                                 const Deps& deps);

}  // namespace artcache
