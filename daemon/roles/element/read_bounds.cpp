// SPDX-License-Identifier: Apache-2.0
#include "roles/element/read_bounds.hpp"

#include <utility>
#include <vector>

#include "common/json_read.hpp"
#include "common/read_bounds.hpp"

namespace artcache::element {

using http::Reply;
using http::Request;

http::Handler positioned(Element& element, http::Handler handler) {
  return [&element, handler = std::move(handler)](Request& request) -> Reply {
    Reply reply = handler(request);
    http::Response* const response = reply.response();
    if (response == nullptr || response->status >= 400) return reply;
    // Behind the read: whoever asks for this position sees at least what this answer shows. What
    // was done stays done, whether that can be told or not.
    if (const auto head = element.parts().index->head(request.call))
      response->headers.set(kPositionHeader, to_string(head->position));
    return reply;
  };
}

http::Handler bounded(Element& element, http::Handler handler) {
  return [&element, handler = positioned(element, std::move(handler))](Request& request) -> Reply {
    std::vector<http::FieldProblem> problems;
    const ReadBound bound = read_bound(request.query, problems);
    if (!problems.empty()) return unprocessable(std::move(problems));
    if (auto kept = check_bound(*element.parts().index, bound, request.call); !kept)
      return kept.error();
    return handler(request);
  };
}

}  // namespace artcache::element
