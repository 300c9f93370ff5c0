// SPDX-License-Identifier: Apache-2.0
#include "http/message.hpp"

#include <algorithm>
#include <artcache/json_writer.hpp>

namespace artcache::http {
namespace {

// Long enough for a run that gives way to another, short enough for a script that waits.
constexpr std::string_view kRetryAfterSeconds = "5";

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same_name(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, lower, lower);
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char small = lower(c);
  return small >= 'a' && small <= 'f' ? small - 'a' + 10 : -1;
}

bool is_index(std::string_view part) {
  return !part.empty() && part.size() < 10 &&
         std::ranges::all_of(part, [](char c) { return c >= '0' && c <= '9'; });
}

void append_field(JsonWriter& json, const FieldProblem& field) {
  json.begin_object().member("type", field.type).key("loc").begin_array();
  for (const std::string& part : field.where) {
    if (is_index(part))
      json.value(std::stol(part));  // the place in a list is a number
    else
      json.value(part);
  }
  json.end_array().member("msg", field.message).end_object();
}

}  // namespace

std::string_view to_string(Method method) {
  switch (method) {
    case Method::get:
      return "GET";
    case Method::head:
      return "HEAD";
    case Method::post:
      return "POST";
    case Method::put:
      return "PUT";
    case Method::patch:
      return "PATCH";
    case Method::del:
      return "DELETE";
    case Method::options:
      return "OPTIONS";
  }
  return "";
}

std::optional<std::string_view> Headers::find(std::string_view name) const {
  for (const Field& field : fields_)
    if (same_name(field.name, name)) return field.value;
  return std::nullopt;
}

void Headers::add(std::string name, std::string value) {
  fields_.push_back({std::move(name), std::move(value)});
}

void Headers::set(std::string_view name, std::string value) {
  std::erase_if(fields_, [&](const Field& field) { return same_name(field.name, name); });
  add(std::string(name), std::move(value));
}

void Pairs::add(std::string name, std::string value) {
  pairs_.emplace_back(std::move(name), std::move(value));
}

std::optional<std::string_view> Pairs::find(std::string_view name) const {
  for (auto at = pairs_.rbegin(); at != pairs_.rend(); ++at)
    if (at->first == name) return at->second;
  return std::nullopt;
}

std::vector<std::string_view> Pairs::every(std::string_view name) const {
  std::vector<std::string_view> values;
  for (const auto& [key, value] : pairs_)
    if (key == name) values.emplace_back(value);
  return values;
}

std::optional<std::string> percent_decode(std::string_view text, Escapes escapes) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && escapes == Escapes::of_form) {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
      if (high < 0 || low < 0) return std::nullopt;
      out += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  return out;
}

Result<Pairs> parse_pairs(std::string_view text) {
  Pairs pairs;
  while (!text.empty()) {
    const std::string_view pair = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(text.size(), pair.size() + 1));
    if (pair.empty()) continue;
    const std::size_t equals = pair.find('=');
    auto name = percent_decode(pair.substr(0, equals), Escapes::of_form);
    auto value = percent_decode(
        equals == std::string_view::npos ? std::string_view{} : pair.substr(equals + 1),
        Escapes::of_form);
    if (!name || !value)
      return Error{Errc::invalid_argument, "form: a % is not followed by two hexadecimal digits"};
    pairs.add(std::move(*name), std::move(*value));
  }
  return pairs;
}

Result<std::string> read_all(BodyReader& body, std::size_t most) {
  std::string all;
  std::byte piece[16 * 1024];
  if (const auto length = body.length(); length && *length <= most)
    all.reserve(static_cast<std::size_t>(*length));
  for (;;) {
    const auto got = body.read(piece);
    if (!got) return got.error();
    if (*got == 0) return all;
    if (all.size() + *got > most)
      return Error{Errc::no_space,
                   "body: longer than the " + std::to_string(most) + " bytes that are taken"};
    all.append(reinterpret_cast<const char*>(piece), *got);
  }
}

Response json_response(int status, std::string body) {
  return {
      .status = status, .headers = {{"Content-Type", "application/json"}}, .body = std::move(body)};
}

Problem to_problem(const Error& error) {
  Problem problem{.status = http_status(error.code), .detail = error.message};
  if (error.code == Errc::internal) problem.detail = "Internal Server Error";
  if (problem.status >= 500) problem.cause = to_string(error);
  if (error.code == Errc::busy || error.code == Errc::lease_lost || error.code == Errc::unavailable)
    problem.headers.add("Retry-After", std::string(kRetryAfterSeconds));
  return problem;
}

Response render_detail(const Problem& problem, const Request&) {
  JsonWriter json;
  json.begin_object().key("detail");
  if (problem.fields.empty()) {
    json.value(problem.detail);
  } else {
    json.begin_array();
    for (const FieldProblem& field : problem.fields) append_field(json, field);
    json.end_array();
  }
  json.end_object();
  return json_response(problem.status, std::move(json).str());
}

}  // namespace artcache::http
