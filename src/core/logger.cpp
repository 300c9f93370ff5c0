// SPDX-License-Identifier: Apache-2.0
#include <artcache/logger.hpp>

#include <artcache/json_writer.hpp>

#include "util/utf8.hpp"

namespace artcache {
namespace {

class NullLogger final : public Logger {
 public:
  void log(const LogRecord&) noexcept override {}
  [[nodiscard]] bool enabled(LogLevel) const noexcept override { return false; }
};

bool needs_quotes(std::string_view text) {
  if (text.empty() || util::utf8_valid_prefix(text) != text.size()) return true;
  if (text.find_first_of(" \"=\\") != std::string_view::npos) return true;
  for (std::size_t i = 0; i < text.size(); ++i)
    if (util::control_character(text.substr(i)) != 0) return true;
  return false;
}

/// A JSON string in which nothing but printable characters is left as it is.
void append_quoted(std::string& out, std::string_view text) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string json;
  append_json_string(json, text);
  for (std::size_t i = 0; i < json.size();) {
    const std::size_t length = util::control_character(std::string_view(json).substr(i));
    if (length == 0) {
      out.push_back(json[i++]);
      continue;
    }
    // U+007F, U+0080 to U+009F, U+2028, U+2029: the last byte tells which.
    const auto last = static_cast<unsigned char>(json[i + length - 1]);
    const unsigned code = length == 3 ? 0x2000U + (last & 0x3fU) : last;
    out.append("\\u");
    for (unsigned shift = 16; shift > 0; shift -= 4)
      out.push_back(kDigits[code >> (shift - 4) & 15U]);
    i += length;
  }
}

void append_word(std::string& out, std::string_view text) {
  if (needs_quotes(text))
    append_quoted(out, text);
  else
    out.append(text);
}

/// A message is a sentence; only what would break the line or is not UTF-8 is changed.
void append_message(std::string& out, std::string_view text) {
  while (!text.empty()) {
    std::size_t length = 1;
    if (const std::size_t control = util::control_character(text); control != 0) {
      length = control;
      out.push_back(' ');
    } else if (const std::size_t sequence = util::utf8_sequence(text); sequence != 0) {
      length = sequence;
      out.append(text.substr(0, sequence));
    } else {
      out.append("\xef\xbf\xbd");
    }
    text.remove_prefix(length);
  }
}

void append_field(std::string& out, const LogField& field) {
  append_word(out, field.key);
  out.push_back('=');
  if (const auto* text = std::get_if<std::string_view>(&field.value))
    append_word(out, *text);
  else if (const auto* number = std::get_if<std::int64_t>(&field.value))
    out.append(std::to_string(*number));
  else
    out.append(JsonWriter().value(std::get<double>(field.value)).str());
}

}  // namespace

Logger& null_logger() {
  static NullLogger logger;
  return logger;
}

std::string_view to_string(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return "DEBUG";
    case LogLevel::info:
      return "INFO";
    case LogLevel::warning:
      return "WARNING";
    case LogLevel::error:
      break;
  }
  return "ERROR";
}

std::string to_text(const LogRecord& record) {
  std::string out(to_string(record.level));
  out.append(": ");
  append_message(out, record.message);
  const char* before = " | ";
  const auto add = [&](const LogField& field) {
    out.append(before);
    before = " ";
    append_field(out, field);
  };
  for (const LogField& field : record.fields) add(field);
  if (!record.request_id.empty()) add({"request_id", record.request_id});
  return out;
}

std::string to_json(const LogRecord& record) {
  JsonWriter json;
  json.begin_object()
      .member("level", to_string(record.level))
      .member("logger", record.logger)
      .member("message", record.message);
  if (!record.request_id.empty()) json.member("request_id", record.request_id);
  for (const LogField& field : record.fields) {
    json.key(field.key);
    std::visit([&](const auto& value) { json.value(value); }, field.value);
  }
  return std::move(json.end_object()).str();
}

}  // namespace artcache
