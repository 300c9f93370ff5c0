// SPDX-License-Identifier: Apache-2.0
// Asks a route as the server does.
#pragma once

#include <optional>
#include <utility>

#include "http/site.hpp"

namespace artcache::http {

struct Ran {
  Reply reply;
  bool quick = false;  ///< on what would be the I/O thread
};

inline Ran run_route(const Route& route, Request& request) {
  std::optional<Reply> quick;
  if (route.quick) quick = route.quick(request);
  if (quick) return {*std::move(quick), true};
  return {route.handler(request)};
}

}  // namespace artcache::http
