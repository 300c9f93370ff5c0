// SPDX-License-Identifier: Apache-2.0
#include "roles/element/read_bounds.hpp"

#include <utility>
#include <vector>

#include "common/json_read.hpp"
#include "common/read_bounds.hpp"

namespace artcache::element {
namespace {

using http::Reply;
using http::Request;

/// Asked behind the read: whoever asks for this position sees at least what this answer shows. What
/// was done stays done, whether that can be told or not.
Reply with_position(Element& element, Reply reply, const Call& call) {
  http::Response* const response = reply.response();
  if (response == nullptr || response->status >= 400) return reply;
  if (const auto head = element.parts().index->head(call))
    response->headers.set(kPositionHeader, to_string(head->position));
  return reply;
}

}  // namespace

http::Handler positioned(Element& element, http::Handler handler) {
  return [&element, handler = std::move(handler)](Request& request) -> Reply {
    return with_position(element, handler(request), request.call);
  };
}

http::QuickHandler positioned_quick(Element& element, http::QuickHandler handler) {
  return [&element, handler = std::move(handler)](Request& request) -> std::optional<Reply> {
    auto reply = handler(request);
    if (!reply) return std::nullopt;
    return with_position(element, *std::move(reply), request.call);
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
