// SPDX-License-Identifier: Apache-2.0
#include "http/finish.hpp"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <ctime>
#include <random>
#include <utility>

namespace artcache::http {
namespace {

constexpr std::size_t kIdMost = 64;
constexpr std::size_t kReasonMost = 300;
constexpr int kGzipWindow = 15 + 16;  // the largest, with gzip's own frame
constexpr int kGzipMemory = 8;

bool has_no_body(int status) { return status < 200 || status == 204 || status == 304; }

std::string date_now() {
  // A line a second and thread is made, whatever the load.
  thread_local std::time_t second = 0;
  thread_local std::array<char, 40> text{};
  const std::time_t now = std::time(nullptr);
  if (now != second) {
    std::tm parts{};
    gmtime_r(&now, &parts);
    std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
    second = now;
  }
  return text.data();
}

void add_line(std::string& head, std::string_view name, std::string_view value) {
  head.append(name).append(": ");
  // A value that came from outside must not begin a line of its own.
  for (const char c : value) head += c == '\r' || c == '\n' || c == '\0' ? ' ' : c;
  head.append("\r\n");
}

/// One line, whatever of the request stands in it.
std::string reason_of(const Problem& problem) {
  std::string reason = problem.detail;
  if (!problem.fields.empty()) {
    reason.clear();
    for (const std::string& part : problem.fields.front().where)
      reason.append(reason.empty() ? "" : ".").append(part);
    reason.append(": ").append(problem.fields.front().message);
  }
  if (reason.size() > kReasonMost) reason.resize(kReasonMost);
  return reason;
}

bool origin_is_allowed(const Cors& cors, std::string_view origin) {
  return std::ranges::any_of(
      cors.origins, [&](const std::string& known) { return known == "*" || known == origin; });
}

void add_cors(Headers& headers, const Request& request, const Site& site) {
  if (site.cors.origins.empty()) return;
  headers.add("Vary", "Origin");
  const auto origin = request.headers.find("Origin");
  if (!origin || !origin_is_allowed(site.cors, *origin)) return;
  headers.set("Access-Control-Allow-Origin", std::string(*origin));
  headers.set("Access-Control-Expose-Headers",
              "X-Request-ID, ETag, Location, Content-Disposition, Content-Range, Retry-After, "
              "X-Artcache-Position, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset");
}

void compress(Response& response, const Request& request, const Site& site) {
  const std::size_t from = site.limits.gzip_from;
  if (response.stream || from == 0 || response.body.size() < from) return;
  const auto type = response.headers.find("Content-Type");
  if (!type || !type->starts_with("application/json")) return;
  if (response.headers.find("Content-Encoding") || has_no_body(response.status)) return;
  response.headers.add("Vary", "Accept-Encoding");
  const auto accepted = request.headers.find("Accept-Encoding");
  if (!accepted || !takes_gzip(*accepted)) return;
  std::string small = gzip(response.body);
  if (small.empty()) return;
  response.body = std::move(small);
  response.headers.add("Content-Encoding", "gzip");
}

std::string trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  std::string lower(text);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return lower;
}

std::string joined(const std::vector<Method>& methods) {
  std::string text;
  for (const Method method : methods)
    text.append(text.empty() ? "" : ", ").append(to_string(method));
  return text;
}

}  // namespace

Finished finish(Reply reply, const Request& request, const Site& site) {
  Finished finished;
  if (const Problem* problem = reply.problem()) {
    finished.cause = problem->cause;
    finished.reason = reason_of(*problem);
    reply = site.render(*problem, request);
  }
  Response& response = *reply.response();
  compress(response, request, site);
  add_cors(response.headers, request, site);
  finished.status = response.status;
  std::string& head = finished.head;
  head.reserve(512);
  head.append("HTTP/1.1 ").append(std::to_string(response.status)).append(" ");
  head.append(reason_phrase(response.status)).append("\r\n");
  for (const Headers::Field& field : response.headers.all())
    add_line(head, field.name, field.value);
  add_line(head, "Date", date_now());
  add_line(head, "X-Request-ID", request.call.request_id);
  if (has_no_body(response.status)) return finished;
  finished.length = response.stream ? response.stream->length() : response.body.size();
  if (finished.length) add_line(head, "Content-Length", std::to_string(*finished.length));
  if (request.method == Method::head) return finished;
  finished.body = std::move(response.body);
  finished.stream = std::move(response.stream);
  return finished;
}

Reply without_route(const Site& site, const Request& request, const Site::Match& match) {
  if (match.allowed.empty()) return Problem{.status = 404, .detail = "Not Found"};
  std::vector<Method> allowed = match.allowed;
  allowed.push_back(Method::options);
  Headers headers{{"Allow", joined(allowed)}};
  if (request.method != Method::options)
    return Problem{.status = 405, .detail = "Method Not Allowed", .headers = std::move(headers)};
  const auto origin = request.headers.find("Origin");
  const bool asks_first = request.headers.find("Access-Control-Request-Method").has_value();
  if (asks_first && origin && origin_is_allowed(site.cors, *origin)) {
    headers.add("Access-Control-Allow-Methods", joined(allowed));
    if (const auto asked = request.headers.find("Access-Control-Request-Headers"))
      headers.add("Access-Control-Allow-Headers", std::string(*asked));
    headers.add("Access-Control-Max-Age", "600");
  }
  return Response{.status = 204, .headers = std::move(headers)};
}

std::string request_id(const Headers& headers) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  };
  const auto given = headers.find("X-Request-ID");
  if (given && !given->empty() && given->size() <= kIdMost && std::ranges::all_of(*given, plain))
    return std::string(*given);
  // To be told apart, not to be hard to guess.
  thread_local std::mt19937_64 numbers{std::random_device{}() * 0x9e3779b97f4a7c15ULL +
                                       std::random_device{}()};
  std::uint64_t number = numbers();
  std::string id(16, '0');
  for (char& c : id) {
    c = "0123456789abcdef"[number & 15];
    number >>= 4;
  }
  return id;
}

std::string_view reason_phrase(int status) {
  struct Row {
    int status;
    std::string_view phrase;
  };
  static constexpr Row kRows[] = {
      {200, "OK"},
      {201, "Created"},
      {202, "Accepted"},
      {204, "No Content"},
      {206, "Partial Content"},
      {207, "Multi-Status"},
      {301, "Moved Permanently"},
      {302, "Found"},
      {304, "Not Modified"},
      {307, "Temporary Redirect"},
      {400, "Bad Request"},
      {401, "Unauthorized"},
      {403, "Forbidden"},
      {404, "Not Found"},
      {405, "Method Not Allowed"},
      {406, "Not Acceptable"},
      {408, "Request Timeout"},
      {409, "Conflict"},
      {410, "Gone"},
      {411, "Length Required"},
      {412, "Precondition Failed"},
      {413, "Payload Too Large"},
      {414, "URI Too Long"},
      {415, "Unsupported Media Type"},
      {416, "Range Not Satisfiable"},
      {417, "Expectation Failed"},
      {422, "Unprocessable Entity"},
      {423, "Locked"},
      {428, "Precondition Required"},
      {429, "Too Many Requests"},
      {431, "Request Header Fields Too Large"},
      {499, "Client Closed Request"},
      {500, "Internal Server Error"},
      {501, "Not Implemented"},
      {502, "Bad Gateway"},
      {503, "Service Unavailable"},
      {504, "Gateway Timeout"},
      {505, "HTTP Version Not Supported"},
      {507, "Insufficient Storage"},
  };
  const auto* row = std::ranges::find(kRows, status, &Row::status);
  return row == std::end(kRows) ? "Unknown" : row->phrase;
}

bool takes_gzip(std::string_view list) {
  bool takes = false;
  while (!list.empty()) {
    const std::string_view item = list.substr(0, list.find(','));
    list.remove_prefix(std::min(list.size(), item.size() + 1));
    const std::size_t semicolon = item.find(';');
    const std::string coding = trimmed(item.substr(0, semicolon));
    if (coding != "gzip" && coding != "*") continue;
    std::string weight =
        semicolon == std::string_view::npos ? "q=1" : trimmed(item.substr(semicolon + 1));
    std::erase(weight, ' ');
    // `q=0`, `q=0.0` and so on: anything else takes it.
    const bool refused =
        weight.starts_with("q=0") && weight.find_first_of("123456789") == std::string::npos;
    if (coding == "gzip") return !refused;
    takes = !refused;
  }
  return takes;
}

std::string gzip(std::string_view text) {
  z_stream stream{};
  // Level 1: JSON of ours shrinks to about a tenth anyway, and the answer is waited for.
  if (deflateInit2(&stream, 1, Z_DEFLATED, kGzipWindow, kGzipMemory, Z_DEFAULT_STRATEGY) != Z_OK)
    return {};
  std::string out(deflateBound(&stream, static_cast<uLong>(text.size())), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int result = deflate(&stream, Z_FINISH);
  out.resize(result == Z_STREAM_END ? stream.total_out : 0);
  deflateEnd(&stream);
  return out;
}

}  // namespace artcache::http
