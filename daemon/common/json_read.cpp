// SPDX-License-Identifier: Apache-2.0
#include "common/json_read.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "util/json_scan.hpp"

namespace artcache {
namespace {

std::string decoded(const util::JsonValue& value) {
  std::string text;
  util::append_decoded(text, value);
  return text;
}

}  // namespace

http::Problem unprocessable(std::vector<http::FieldProblem> fields) {
  return {.status = 422, .detail = "Unprocessable Entity", .fields = std::move(fields)};
}

http::Problem unprocessable(std::string where, std::string name, std::string message,
                            std::string type) {
  return unprocessable({{.where = {std::move(where), std::move(name)},
                         .message = std::move(message),
                         .type = std::move(type)}});
}

std::optional<std::int64_t> parse_whole(std::string_view text) {
  std::int64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || at != end) return std::nullopt;
  return number;
}

std::optional<bool> parse_flag(std::string_view text) {
  std::string low(text);
  std::ranges::transform(low, low.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  for (const std::string_view yes : {"true", "on", "1", "yes", "t", "y"})
    if (low == yes) return true;
  for (const std::string_view no : {"false", "off", "0", "no", "f", "n"})
    if (low == no) return false;
  return std::nullopt;
}

std::optional<bool> query_flag(const http::Pairs& query, std::string_view name,
                               std::vector<http::FieldProblem>& problems) {
  const auto flag = parse_flag(query.find(name).value_or("0"));
  if (!flag)
    problems.push_back({{"query", std::string(name)},
                        "Input should be a valid boolean, unable to interpret input",
                        "bool_parsing"});
  return flag;
}

JsonObject::JsonObject(std::string text) { read(text); }

void JsonObject::read(std::string_view json) {
  util::JsonScanner scanner(json);
  util::JsonValue name, value;
  bool is_object = false;
  if (scanner.check_start() && scanner.enter_object()) {
    is_object = true;
    while (scanner.next_member(name, value)) {
      static constexpr Kind kKinds[] = {Kind::object, Kind::array, Kind::text,
                                        Kind::number, Kind::flag,  Kind::null};
      Member member;
      member.kind = kKinds[static_cast<std::size_t>(value.kind)];
      member.json = value.kind == util::JsonKind::string ? decoded(value) : std::string(value.text);
      members_.insert_or_assign(decoded(name), std::move(member));
    }
    if (!scanner.failed() && scanner.at_end()) return;
  }
  members_.clear();
  unreadable_ = true;
  const bool other = !is_object && !json.empty() && json.find_first_of("[\"-0123456789tfn") == 0;
  if (other)
    problems_.push_back({{"body"}, "Input should be a valid dictionary", "model_attributes_type"});
  else
    problems_.push_back(
        {{"body", std::to_string(scanner.offset())}, "JSON decode error", "json_invalid"});
}

const JsonObject::Member* JsonObject::find(std::string_view name) const {
  const auto at = members_.find(name);
  return at == members_.end() ? nullptr : &at->second;
}

const JsonObject::Member* JsonObject::expect(std::string_view name, Kind kind,
                                             std::string_view message, std::string_view type) {
  const Member* const member = find(name);
  if (member == nullptr || member->kind == Kind::null) return nullptr;
  if (member->kind == kind) return member;
  refuse(name, std::string(message), std::string(type));
  return nullptr;
}

std::optional<std::string> JsonObject::text(std::string_view name) {
  const auto* member = expect(name, Kind::text, "Input should be a valid string", "string_type");
  if (member == nullptr) return std::nullopt;
  return member->json;
}

std::optional<std::int64_t> JsonObject::number(std::string_view name) {
  const auto* member = expect(name, Kind::number, "Input should be a valid integer", "int_type");
  if (member == nullptr) return std::nullopt;
  const auto number = parse_whole(member->json);
  if (!number) refuse(name, "Input should be a valid integer", "int_type");
  return number;
}

std::optional<bool> JsonObject::flag(std::string_view name) {
  const auto* member = expect(name, Kind::flag, "Input should be a valid boolean", "bool_type");
  if (member == nullptr) return std::nullopt;
  return member->json == "true";
}

std::optional<std::vector<std::string>> JsonObject::texts(std::string_view name) {
  const auto* member = expect(name, Kind::array, "Input should be a valid list", "list_type");
  if (member == nullptr) return std::nullopt;
  std::vector<std::string> texts;
  util::JsonScanner scanner(member->json);
  util::JsonValue value;
  scanner.enter_array();
  while (scanner.next_element(value)) {
    if (value.kind == util::JsonKind::string) {
      texts.push_back(decoded(value));
      continue;
    }
    problems_.push_back({{"body", std::string(name), std::to_string(texts.size())},
                         "Input should be a valid string",
                         "string_type"});
    return std::nullopt;
  }
  return texts;
}

std::optional<std::string> JsonObject::object(std::string_view name) {
  const auto* member =
      expect(name, Kind::object, "Input should be a valid dictionary", "dict_type");
  if (member == nullptr) return std::nullopt;
  std::string json;
  util::append_minified(json, member->json);
  return json;
}

void JsonObject::require(std::string_view name) {
  const Member* const member = find(name);
  if (member == nullptr)
    refuse(name, "Field required", "missing");
  else if (member->kind == Kind::null)
    refuse(name, "Input should not be null", "value_error");
}

void JsonObject::refuse(std::string_view name, std::string message, std::string type) {
  // Whatever else is missing in what could not be read at all says nothing.
  if (unreadable_) return;
  problems_.push_back({{"body", std::string(name)}, std::move(message), std::move(type)});
}

}  // namespace artcache
