// SPDX-License-Identifier: Apache-2.0
#include <artcache/logger.hpp>

#include <artcache/json_writer.hpp>

namespace artcache {
namespace {

class NullLogger final : public Logger {
 public:
  void log(const LogRecord&) noexcept override {}
  [[nodiscard]] bool enabled(LogLevel) const noexcept override { return false; }
};

bool is_plain(char c) {
  const auto u = static_cast<unsigned char>(c);
  return u > ' ' && u != 0x7f && c != '"' && c != '=' && c != '\\';
}

bool needs_quotes(std::string_view text) {
  if (text.empty()) return true;
  for (char c : text)
    if (!is_plain(c)) return true;
  return false;
}

/// A message is a sentence; only what would break the line is changed.
void append_message(std::string& out, std::string_view text) {
  for (char c : text) {
    const auto u = static_cast<unsigned char>(c);
    out.push_back(u < ' ' || u == 0x7f ? ' ' : c);
  }
}

void append_field(std::string& out, const LogField& field) {
  out.append(field.key).push_back('=');
  if (const auto* text = std::get_if<std::string_view>(&field.value)) {
    if (needs_quotes(*text))
      append_json_string(out, *text);
    else
      out.append(*text);
  } else if (const auto* number = std::get_if<std::int64_t>(&field.value)) {
    out.append(std::to_string(*number));
  } else {
    out.append(JsonWriter().value(std::get<double>(field.value)).str());
  }
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
