// SPDX-License-Identifier: Apache-2.0
#include "backends/postgres/people.hpp"

#include <algorithm>
#include <charconv>

#include "sql/postgres/wire.hpp"
#include "util/json_scan.hpp"

namespace artcache::postgres {
namespace {

template <class F>
void for_each_token(std::string_view tokens, const F& use) {
  while (!tokens.empty()) {
    const std::string_view token = tokens.substr(0, tokens.find(' '));
    tokens.remove_prefix(std::min(tokens.size(), token.size() + 1));
    if (!token.empty()) use(token);
  }
}

void add_lexemes(std::string& out, std::string_view tokens, std::string_view weight) {
  for_each_token(tokens, [&](std::string_view token) {
    if (!out.empty()) out.push_back(' ');
    out.append("'").append(token).append("':").append(weight);
  });
}

/// A lexeme and the weight of its only place.
using Lexeme = std::pair<std::string_view, unsigned>;

/// jsonb stores numbers as numeric, whose exponents end somewhere beyond 16,000.
bool fits_numeric(std::string_view number) {
  const std::size_t at = number.find_first_of("eE");
  if (at == std::string_view::npos) return number.size() < 10'000;
  std::string_view digits = number.substr(at + 1);
  if (digits.starts_with('+') || digits.starts_with('-')) digits.remove_prefix(1);
  while (digits.starts_with('0')) digits.remove_prefix(1);
  return number.size() < 10'000 && digits.size() <= 3;
}

bool fits_jsonb(std::string_view json);

bool fits_jsonb(const util::JsonValue& value) {
  switch (value.kind) {
    case util::JsonKind::string:
      return value.text.find("\\u0000") == std::string_view::npos;
    case util::JsonKind::number:
      return fits_numeric(value.text);
    case util::JsonKind::object:
    case util::JsonKind::array:
      return fits_jsonb(value.text);
    case util::JsonKind::boolean:
    case util::JsonKind::null:
      break;
  }
  return true;
}

/// The scanner bounds the depth.
bool fits_jsonb(std::string_view json) {
  util::JsonScanner scanner(json);
  util::JsonValue name, value;
  if (json.starts_with('[')) {
    if (!scanner.enter_array()) return false;
    while (scanner.next_element(value))
      if (!fits_jsonb(value)) return false;
  } else {
    if (!scanner.enter_object()) return false;
    while (scanner.next_member(name, value))
      if (!fits_jsonb(name) || !fits_jsonb(value)) return false;
  }
  return !scanner.failed();
}

std::vector<std::string> parse_tags(std::string_view json) {
  std::vector<std::string> tags;
  util::JsonScanner scanner(json);
  util::JsonValue value;
  if (json.empty() || !scanner.enter_array()) return tags;
  while (scanner.next_element(value))
    if (value.kind == util::JsonKind::string) util::append_decoded(tags.emplace_back(), value);
  return tags;
}

std::optional<std::string> maybe_text(const sql::Statement& s, int column) {
  if (s.is_null(column)) return std::nullopt;
  return std::string(s.text(column));
}

Timestamp time_at(const sql::Statement& s, int column) {
  return Timestamp(std::chrono::microseconds(s.integer(column)));
}

}  // namespace

std::string vector_text(const SearchTokens& tokens) {
  std::string out;
  add_lexemes(out, tokens.name, "1A");
  add_lexemes(out, tokens.tags, "1B");
  add_lexemes(out, tokens.rest, "1");
  return out;
}

std::string vector_bytes(const SearchTokens& tokens) {
  constexpr unsigned kA = 3, kB = 2, kD = 0, kPlace = 1, kWeightShift = 14;
  std::vector<Lexeme> lexemes;
  for (const auto& [part, weight] :
       {std::pair(&tokens.name, kA), {&tokens.tags, kB}, {&tokens.rest, kD}})
    for_each_token(*part,
                   [&, w = weight](std::string_view token) { lexemes.emplace_back(token, w); });
  // Each word once, with the best of its weights.
  std::ranges::sort(lexemes, [](const Lexeme& a, const Lexeme& b) {
    return a.first != b.first ? a.first < b.first : a.second > b.second;
  });
  const auto rest =
      std::unique(lexemes.begin(), lexemes.end(),
                  [](const Lexeme& a, const Lexeme& b) { return a.first == b.first; });
  lexemes.erase(rest, lexemes.end());
  std::string out;
  sql::put_big_endian(out, lexemes.size(), 4);
  for (const auto& [token, weight] : lexemes) {
    out.append(token).push_back('\0');
    sql::put_big_endian(out, 1, 2);  // places
    sql::put_big_endian(out, weight << kWeightShift | kPlace, 2);
  }
  return out;
}

std::optional<std::string> people_json(std::string_view json) {
  if (json.empty()) return "{}";
  if (!fits_jsonb(json)) return std::nullopt;
  return std::string(json);
}

std::optional<std::string> jsonb_bytes(std::string_view json) {
  auto text = people_json(json);
  if (text) text->insert(0, 1, '\1');  // the version of the form
  return text;
}

std::optional<std::string> array_bytes(const std::vector<std::string>& texts) {
  if (texts.empty()) return std::nullopt;
  sql::PostgresArray array(sql::PostgresType::text);
  for (const std::string& text : texts) array.add().bytes(std::string_view(text));
  return array.bytes();
}

std::optional<std::string> array_literal(const std::vector<std::string>& texts) {
  if (texts.empty()) return std::nullopt;
  std::string out = "{";
  for (const std::string& text : texts) {
    if (out.size() > 1) out.push_back(',');
    out.push_back('"');
    for (const char c : text) {
      if (c == '"' || c == '\\') out.push_back('\\');
      out.push_back(c);
    }
    out.push_back('"');
  }
  return out + "}";
}

FileEntry read_people_columns(const sql::Statement& s, int first) {
  FileEntry e;
  int c = first;
  e.original_filename = s.text(c++);
  e.storage_filename = s.text(c++);
  e.storage_path = s.text(c++);
  if (!e.storage_path.empty() && !e.storage_path.ends_with('/')) e.storage_path.push_back('/');
  e.file_size = static_cast<std::uint64_t>(std::max<std::int64_t>(0, s.integer(c++)));
  e.content_type = s.text(c++);
  e.created_at = time_at(s, c++);
  e.updated_at = time_at(s, c++);
  e.created_by_id = s.text(c++);
  e.created_by_username = s.text(c++);
  for (auto* text : {&e.created_by_fullname, &e.description, &e.version})
    *text = maybe_text(s, c++);
  if (const auto checksum = Sha256Sum::parse(s.text(c++))) e.checksum = *checksum;
  e.tags = parse_tags(s.text(c++));
  e.retention_policy = maybe_text(s, c++);
  if (!s.is_null(c)) e.ttl_days = s.integer(c);
  ++c;
  if (!s.is_null(c)) e.retention_expires_at = time_at(s, c);
  ++c;
  if (!s.is_null(c)) {
    e.metadata.clear();
    util::append_minified(e.metadata, s.text(c));
  }
  return e;
}

}  // namespace artcache::postgres
