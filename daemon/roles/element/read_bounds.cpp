// SPDX-License-Identifier: Apache-2.0
#include "roles/element/read_bounds.hpp"

#include <chrono>
#include <utility>
#include <vector>

#include "common/json_read.hpp"
#include "common/read_bounds.hpp"

namespace artcache::element {
namespace {

using http::Reply;
using http::Request;

// Until then an I/O thread may wait for connections to the index.
constexpr std::chrono::milliseconds kQuickMost{1};

/// Asked behind the read: whoever asks for this position sees at least what this answer shows.
/// False when it cannot be told.
bool add_position(Element& element, Reply& reply, const Call& call) {
  http::Response* const response = reply.response();
  if (response == nullptr || response->status >= 400) return true;
  const auto head = element.parts().index->head(call);
  if (head) response->headers.set(kPositionHeader, to_string(head->position));
  return head.has_value();
}

}  // namespace

http::Handler positioned(Element& element, http::Handler handler) {
  return [&element, handler = std::move(handler)](Request& request) -> Reply {
    Reply reply = handler(request);
    // What was done stays done, whether the position can be told or not.
    add_position(element, reply, request.call);
    return reply;
  };
}

http::QuickHandler positioned_quick(Element& element, BriefHandler handler) {
  return [&element, handler = std::move(handler)](Request& request) -> std::optional<Reply> {
    const Call call = request.call.within(kQuickMost, *element.parts().deps.clock);
    auto reply = handler(request, call);
    if (!reply || !add_position(element, *reply, call)) return std::nullopt;
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
