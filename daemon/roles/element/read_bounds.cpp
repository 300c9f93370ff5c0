// SPDX-License-Identifier: Apache-2.0
#include "roles/element/read_bounds.hpp"

#include <charconv>
#include <cmath>
#include <utility>

#include "common/json_read.hpp"

namespace artcache::element {
namespace {

using http::Reply;
using http::Request;

// Longer is as good as none, and fits into nanoseconds.
constexpr double kSecondsMost = 1e9;

std::optional<double> parse_seconds(std::string_view text) {
  double seconds = 0;
  const auto [end, errc] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  const bool good = errc == std::errc() && end == text.data() + text.size() &&
                    std::isfinite(seconds) && seconds >= 0 && seconds <= kSecondsMost;
  return good ? std::optional(seconds) : std::nullopt;
}

}  // namespace

ReadBound read_bound(QueryFields& fields) {
  ReadBound bound;
  if (const auto text = fields.text("min_position")) {
    if (const auto position = parse_position(*text))
      bound.min_position = *position;
    else
      fields.refuse("min_position", "Input should be a position, epoch/seq/digest", "value_error");
  }
  if (const auto text = fields.text("max_staleness")) {
    if (const auto seconds = parse_seconds(*text))
      bound.max_staleness = std::chrono::duration_cast<std::chrono::nanoseconds>(
          std::chrono::duration<double>(*seconds));
    else
      fields.refuse("max_staleness", "Input should be a number of seconds", "float_parsing");
  }
  return bound;
}

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
    QueryFields fields(request.query);
    const ReadBound bound = read_bound(fields);
    if (!fields.problems().empty()) return unprocessable(std::move(fields.problems()));
    if (auto kept = check_bound(*element.parts().index, bound, request.call); !kept)
      return kept.error();
    return handler(request);
  };
}

}  // namespace artcache::element
