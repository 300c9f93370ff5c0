// SPDX-License-Identifier: Apache-2.0
// Any bytes as what a client sends: the same request however they arrive, refused with a status of
// its own or in parts that no route need fear.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "http/message.hpp"
#include "http/parser.hpp"
#include "http/ranges.hpp"

namespace {

using namespace artcache;        // NOLINT: a program of one file
using namespace artcache::http;  // NOLINT: likewise

constexpr HeadLimits kLimits{.bytes = 1024, .fields = 8};

void require(bool good) {
  if (!good) std::abort();
}

struct Sent {
  std::unique_ptr<RequestParser> parser = std::make_unique<RequestParser>(kLimits);
  std::string body;
  std::size_t taken = 0;
};

/// As a connection gives them: a piece more whenever what there is was not enough.
Sent send(std::string_view bytes, std::size_t piece) {
  Sent sent;
  RequestParser& parser = *sent.parser;
  std::size_t there = std::min(piece, bytes.size());
  while (!parser.body_done() && !parser.refusal()) {
    RequestParser::Pieces pieces;
    const std::size_t taken = parser.give(bytes.substr(sent.taken, there - sent.taken), pieces);
    require(taken <= there - sent.taken);
    for (const std::string_view part : pieces) sent.body.append(part);
    sent.taken += taken;
    if (taken > 0) continue;
    if (there == bytes.size()) break;
    there = std::min(bytes.size(), there + piece);
  }
  return sent;
}

void check_target(const std::string& text) {
  const auto target = parse_target(text);
  if (!target) {
    require(target.error().code == Errc::invalid_argument);
    return;
  }
  const std::string& path = target->path;
  require(path.starts_with('/') && (path + "/").find("/../") == std::string::npos);
  require((path + "/").find("/./") == std::string::npos);
  for (const char c : path) require(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
  const auto pairs = parse_pairs(target->raw_query);
  require(pairs || pairs.error().code == Errc::invalid_argument);
}

void check_head(RequestParser& parser) {
  const Headers& headers = parser.headers();
  require(headers.all().size() <= kLimits.fields && !parser.method().empty());
  for (const Headers::Field& field : headers.all())
    for (const char c : field.value)
      require((static_cast<unsigned char>(c) >= 0x20 || c == '\t') && c != 0x7f);
  check_target(parser.target());
  constexpr std::uint64_t kSize = 1000;
  const Representation there{
      .size = kSize, .etag = "\"e\"", .modified = Timestamp(std::chrono::seconds(784'111'777))};
  const Selection part = select(headers, there);
  require(part.first <= kSize && part.length <= kSize - part.first);
  if (part.kind == Selection::Kind::part) require(part.length > 0);
  for (const Headers::Field& field : headers.all()) {
    if (const auto date = parse_http_date(field.value))  // whatever day of the week it says
      require(http_date(*date).substr(3) == field.value.substr(3));
    for (const char c : attachment(field.value)) require(c >= ' ' && c < 0x7f);
  }
}

void check(std::string_view bytes) {
  const Sent whole = send(bytes, bytes.size());
  const Sent pieces = send(bytes, 1 + bytes.size() % 5);
  if (const auto& refusal = whole.parser->refusal()) {
    require(refusal->status >= 400 && refusal->status <= 505 && !refusal->reason.empty());
    return;
  }
  if (const auto& refusal = pieces.parser->refusal()) {
    // How much of a head counts as read depends on where it was cut.
    require(refusal->status == 431 && bytes.size() >= kLimits.bytes);
    return;
  }
  require(whole.parser->head_done() == pieces.parser->head_done());
  require(whole.parser->body_done() == pieces.parser->body_done());
  require(whole.body == pieces.body);
  if (!whole.parser->head_done()) return;
  check_head(*whole.parser);
  const auto length = whole.parser->length();
  if (whole.parser->body_done()) {
    require(whole.taken == pieces.taken);
    require(!length || whole.body.size() == *length);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  check({reinterpret_cast<const char*>(data), size});
  return 0;
}
