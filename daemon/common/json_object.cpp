// SPDX-License-Identifier: Apache-2.0
#include "common/json_object.hpp"

#include <algorithm>
#include <artcache/json_writer.hpp>
#include <charconv>
#include <set>

#include "util/try.hpp"
#include "util/utf8.hpp"

namespace artcache {
namespace {

Error refused(std::string_view why) {
  return {Errc::invalid_argument, "JSON: " + std::string(why)};
}

bool same_word(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [&](char x, char y) { return lower(x) == lower(y); });
}

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t out = 0;
  const char* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, out);
  if (read.ec != std::errc() || read.ptr != end) return std::nullopt;
  return out;
}

bool is_form(const http::Request& request) {
  const auto type = request.headers.find("Content-Type");
  constexpr std::string_view kForm = "application/x-www-form-urlencoded";
  return type && same_word(type->substr(0, kForm.size()), kForm);
}

Result<std::string> form_as_json(std::string_view form) {
  ARTCACHE_TRY(const http::Pairs pairs, http::parse_pairs(form));
  JsonWriter json;
  json.begin_object();
  std::set<std::string_view> names;
  for (const auto& [name, value] : pairs.all())
    if (names.insert(name).second) json.member(name, std::string(*pairs.find(name)));
  json.end_object();
  return std::move(json).str();
}

}  // namespace

std::string decoded(const util::JsonValue& string) {
  std::string out;
  util::append_decoded(out, string);
  return out;
}

Result<JsonMembers> JsonMembers::parse(std::string_view text) {
  util::JsonScanner scanner(text);
  JsonMembers out;
  std::set<std::string> names;
  util::JsonValue name, value;
  if (!scanner.check_start() || !scanner.enter_object()) return refused("no object");
  while (scanner.next_member(name, value)) {
    std::string plain = decoded(name);
    if (!names.insert(plain).second) return refused("a member stands twice");
    out.members_.emplace_back(std::move(plain), value);
  }
  if (scanner.failed() || !scanner.at_end())
    return refused("broken at byte " + std::to_string(scanner.offset()));
  return out;
}

const util::JsonValue* JsonMembers::find(std::string_view name) const {
  for (const auto& [known, value] : members_)
    if (known == name) return &value;
  return nullptr;
}

Result<BodyFields> BodyFields::read(http::Request& request, std::size_t most) {
  BodyFields out;
  ARTCACHE_TRY(std::string body, http::read_all(*request.body, most));
  out.form_ = is_form(request);
  if (out.form_) {
    auto json = form_as_json(body);
    if (!json) {
      out.problems_.push_back({{"body"}, json.error().message, "form_invalid"});
      return out;
    }
    body = std::move(*json);
  }
  if (body.empty()) return out;
  out.body_ = std::make_unique<std::string>(std::move(body));
  if (auto object = JsonMembers::parse(*out.body_); object)
    out.object_ = std::move(*object);
  else
    out.problems_.push_back(
        {{"body"}, "JSON decode error: " + object.error().message, "json_invalid"});
  return out;
}

const util::JsonValue* BodyFields::find(std::string_view name) const {
  const util::JsonValue* value = object_.find(name);
  return value == nullptr || value->kind == util::JsonKind::null ? nullptr : value;
}

void BodyFields::refuse(std::string_view name, std::string message, std::string type) {
  problems_.push_back({{"body", std::string(name)}, std::move(message), std::move(type)});
}

std::optional<std::string> BodyFields::text(std::string_view name, std::size_t most) {
  const util::JsonValue* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (value->kind != util::JsonKind::string) {
    refuse(name, "Input should be a valid string", "string_type");
    return std::nullopt;
  }
  std::string out = decoded(*value);
  if (util::utf8_length(out) > most)
    refuse(name, "String should have at most " + std::to_string(most) + " characters",
           "string_too_long");
  if (out.find('\0') != std::string::npos)
    refuse(name, "String should not contain NUL", "string_pattern_mismatch");
  return out;
}

std::string BodyFields::needed_text(std::string_view name, std::size_t most) {
  if (!has(name)) {
    refuse(name, "Field required", "missing");
    return {};
  }
  const auto out = text(name, most);
  if (out && out->empty())
    refuse(name, "String should have at least 1 character", "string_too_short");
  return out.value_or("");
}

std::optional<std::int64_t> BodyFields::number(std::string_view name, std::int64_t least,
                                               std::int64_t most) {
  const util::JsonValue* value = find(name);
  if (value == nullptr) return std::nullopt;
  std::optional<std::int64_t> out;
  if (value->kind == util::JsonKind::number) out = whole_number(value->text);
  if (form_ && value->kind == util::JsonKind::string) out = whole_number(value->spelled());
  if (!out)
    refuse(name, "Input should be a valid integer", "int_type");
  else if (*out < least || *out > most)
    refuse(name, "Input should be from " + std::to_string(least) + " to " + std::to_string(most),
           *out < least ? "greater_than_equal" : "less_than_equal");
  return out;
}

std::optional<bool> BodyFields::flag(std::string_view name) {
  const util::JsonValue* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (value->kind == util::JsonKind::boolean) return value->text == "true";
  refuse(name, "Input should be a valid boolean", "bool_type");
  return std::nullopt;
}

std::optional<std::string> BodyFields::word(std::string_view name,
                                            std::span<const std::string_view> words) {
  const auto given = text(name);
  if (!given) return std::nullopt;
  std::string known;
  for (const std::string_view word : words) {
    if (same_word(*given, word)) return std::string(word);
    known += (known.empty() ? "'" : ", '") + std::string(word) + "'";
  }
  refuse(name, "Input should be one of " + known, "enum");
  return std::nullopt;
}

std::optional<http::Problem> BodyFields::problem() const {
  if (problems_.empty()) return std::nullopt;
  return unprocessable(problems_);
}

std::int64_t query_number(const http::Request& request, std::string_view name,
                          std::int64_t fallback, std::int64_t least, std::int64_t most,
                          std::vector<http::FieldProblem>& problems) {
  const auto text = request.query.find(name);
  if (!text) return fallback;
  const auto number = whole_number(*text);
  const auto refuse = [&](std::string message, std::string type) {
    problems.push_back({{"query", std::string(name)}, std::move(message), std::move(type)});
    return fallback;
  };
  if (!number)
    return refuse("Input should be a valid integer, unable to parse string as an integer",
                  "int_parsing");
  if (*number < least)
    return refuse("Input should be greater than or equal to " + std::to_string(least),
                  "greater_than_equal");
  if (*number > most)
    return refuse("Input should be less than or equal to " + std::to_string(most),
                  "less_than_equal");
  return *number;
}

}  // namespace artcache
