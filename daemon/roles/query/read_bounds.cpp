// SPDX-License-Identifier: Apache-2.0
// Reads that may not be older than the client asks for.
#include "common/read_bounds.hpp"

#include <utility>
#include <vector>

#include "common/json_read.hpp"
#include "roles/query/query.hpp"

namespace artcache::query {

http::Handler bounded(Parts& parts, http::Handler handler) {
  return [&parts, handler = std::move(handler)](http::Request& request) -> http::Reply {
    std::vector<http::FieldProblem> problems;
    const ReadBound bound = read_bound(request.query, problems);
    if (!problems.empty()) return unprocessable(std::move(problems));
    if (bound.any()) {
      const auto element = request.query.find("storage_element_id").value_or("");
      const Call call = request.call.within(parts.bound_most, *parts.deps.clock);
      if (auto kept = parts.fleet->await(bound, element, call); !kept) return kept.error();
    }
    return handler(request);
  };
}

}  // namespace artcache::query
