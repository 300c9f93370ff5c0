// SPDX-License-Identifier: Apache-2.0
#include "http/multipart.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "util/try.hpp"

namespace artcache::http {
namespace {

constexpr std::size_t kBuffer = 256 * std::size_t{1024};
constexpr std::size_t kStraight = 16 * std::size_t{1024};

Error wrong(std::string cause) {
  return Error{Errc::invalid_argument, "multipart: " + std::move(cause)};
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
bool same_word(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, lower, lower);
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// The value of a parameter at the front of `text`, which moves on behind it.
std::string take_value(std::string_view& text) {
  text = trimmed(text);
  std::string value;
  if (!text.starts_with('"')) {
    const std::string_view word = text.substr(0, text.find(';'));
    text.remove_prefix(word.size());
    return std::string(trimmed(word));
  }
  std::size_t at = 1;
  for (; at < text.size() && text[at] != '"'; ++at) {
    // Only these two are escaped in practice; a path of Windows has backslashes that mean it.
    const char after = at + 1 < text.size() ? text[at + 1] : '\0';
    if (text[at] == '\\' && (after == '"' || after == '\\')) ++at;
    value += text[at];
  }
  text.remove_prefix(std::min(text.size(), at + 1));
  return value;
}

/// `form-data; name="a"; filename="b"`: the first word, and its parameters with names in lower
/// case.
struct Parameters {
  std::string_view word;
  Pairs values;
};
Parameters parse_parameters(std::string_view text) {
  Parameters parameters{.word = trimmed(text.substr(0, text.find(';'))), .values = {}};
  text.remove_prefix(std::min(text.size(), text.find(';')));
  while (text.starts_with(';')) {
    text.remove_prefix(1);
    const std::size_t equals = text.find_first_of("=;");
    if (equals == std::string_view::npos || text[equals] == ';') {
      text.remove_prefix(std::min(text.size(), equals));
      continue;
    }
    std::string name(trimmed(text.substr(0, equals)));
    std::ranges::transform(name, name.begin(), lower);
    text.remove_prefix(equals + 1);
    parameters.values.add(std::move(name), take_value(text));
    text.remove_prefix(std::min(text.size(), text.find(';')));
  }
  return parameters;
}

/// RFC 5987: `UTF-8''na%20me`.
std::optional<std::string> extended_value(std::string_view text) {
  const std::size_t charset = text.find('\'');
  const std::size_t language =
      charset == std::string_view::npos ? charset : text.find('\'', charset + 1);
  if (language == std::string_view::npos || !same_word(text.substr(0, charset), "utf-8"))
    return std::nullopt;
  return percent_decode(text.substr(language + 1), Escapes::of_path);
}

Result<void> read_disposition(std::string_view value, PartHead& head) {
  const Parameters disposition = parse_parameters(value);
  const auto name = disposition.values.find("name");
  if (!same_word(disposition.word, "form-data") || !name)
    return wrong("a part has no Content-Disposition: form-data with a name");
  head.name = *name;
  if (const auto filename = disposition.values.find("filename")) head.filename = *filename;
  if (const auto extended = disposition.values.find("filename*"))
    if (auto filename = extended_value(*extended)) head.filename = std::move(*filename);
  return {};
}

Result<PartHead> parse_head(std::string_view text) {
  PartHead head;
  bool named = false;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find("\r\n"));
    text.remove_prefix(std::min(text.size(), line.size() + 2));
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0)
      return wrong("a line in the header of a part is not 'name: value'");
    if (std::ranges::any_of(line, [](char c) {
          return (static_cast<unsigned char>(c) < ' ' && c != '\t') || c == '\x7f';
        }))
      return wrong("a control character in the header of a part");
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = trimmed(line.substr(colon + 1));
    if (same_word(name, "Content-Type")) head.content_type = value;
    if (!same_word(name, "Content-Disposition")) continue;
    ARTCACHE_CHECK(read_disposition(value, head));
    named = true;
  }
  if (!named) return wrong("a part has no Content-Disposition: form-data with a name");
  return head;
}

}  // namespace

Result<std::string> multipart_boundary(std::string_view content_type) {
  const Parameters type = parse_parameters(content_type);
  if (!same_word(type.word, "multipart/form-data"))
    return wrong("the body is not multipart/form-data");
  const auto boundary = type.values.find("boundary");
  if (!boundary || boundary->empty() || boundary->size() > 70)
    return wrong("Content-Type names no boundary of 1 to 70 characters");
  // Those of RFC 2046; a blank only inside.
  static constexpr std::string_view kAllowed =
      "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'()+_,-./:=? ";
  if (boundary->find_first_not_of(kAllowed) != std::string_view::npos || boundary->back() == ' ')
    return wrong("the boundary has a character that none may have");
  return std::string(*boundary);
}

MultipartReader::MultipartReader(BodyReader& body, std::string_view boundary)
    : body_(body),
      delimiter_("\r\n--" + std::string(boundary)),
      buffer_(std::make_unique_for_overwrite<char[]>(kBuffer)),
      end_(2),
      state_(State::preamble) {
  // As if a line had ended there: the first boundary needs none in front of it.
  std::memcpy(buffer_.get(), "\r\n", 2);
}

Result<bool> MultipartReader::fill() {
  if (begin_ > 0) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  ARTCACHE_TRY(const std::size_t got,
               body_.read(std::as_writable_bytes(std::span(buffer_.get() + end_, kBuffer - end_))));
  end_ += got;
  return got > 0;
}

std::size_t MultipartReader::clear_of_boundary(std::string_view all) const {
  // Many times as quick as find(), which looks at each first character of the delimiter.
  const void* const found = ::memmem(all.data(), all.size(), delimiter_.data(), delimiter_.size());
  if (found != nullptr)
    return static_cast<std::size_t>(static_cast<const char*>(found) - all.data());
  // The last bytes may be the beginning of a boundary.
  std::size_t kept = std::min(all.size(), delimiter_.size() - 1);
  while (kept > 0 && !delimiter_.starts_with(all.substr(all.size() - kept))) --kept;
  return all.size() - kept;
}

Result<std::size_t> MultipartReader::look() {
  while (clear_ == 0) {
    clear_ = clear_of_boundary(held());
    if (clear_ > 0 || held().starts_with(delimiter_)) break;
    ARTCACHE_TRY(const bool more, fill());
    if (!more) return wrong("the body ends in front of its last boundary");
  }
  return clear_;
}

// Most of a large part has no boundary in it, and need not go through the buffer.
Result<std::size_t> MultipartReader::read_straight(std::span<std::byte> into) {
  ARTCACHE_TRY(const std::size_t got, body_.read(into.first(std::min(into.size(), kBuffer))));
  const std::string_view all(reinterpret_cast<const char*>(into.data()), got);
  const std::size_t there = clear_of_boundary(all);
  begin_ = 0;
  end_ = got - there;
  std::memcpy(buffer_.get(), all.data() + there, end_);
  return there;
}

Result<std::size_t> MultipartReader::read(std::span<std::byte> into) {
  if (state_ != State::in_part || into.empty()) return std::size_t{0};
  if (begin_ == end_ && into.size() >= kStraight) {
    ARTCACHE_TRY(const std::size_t there, read_straight(into));
    if (there > 0) return there;
  }
  ARTCACHE_TRY(const std::size_t there, look());
  if (there == 0) {
    begin_ += delimiter_.size();
    state_ = State::after_boundary;
    return std::size_t{0};
  }
  const std::size_t bytes = std::min(there, into.size());
  std::memcpy(into.data(), buffer_.get() + begin_, bytes);
  begin_ += bytes;
  clear_ -= bytes;
  return bytes;
}

Result<std::string> MultipartReader::read_text(std::size_t most) {
  std::string text;
  std::byte piece[4096];
  for (;;) {
    ARTCACHE_TRY(const std::size_t got, read(piece));
    if (got == 0) return text;
    if (text.size() + got > most)
      return Error{Errc::no_space, "multipart: a part has more than the " + std::to_string(most) +
                                       " bytes that are taken"};
    text.append(reinterpret_cast<const char*>(piece), got);
  }
}

Result<void> MultipartReader::skip_part() {
  for (;;) {
    ARTCACHE_TRY(const std::size_t there, look());
    begin_ += there;
    clear_ = 0;
    if (there == 0) break;
  }
  begin_ += delimiter_.size();
  state_ = State::after_boundary;
  return {};
}

Result<std::string> MultipartReader::take_head() {
  for (;;) {
    const std::string_view all = held();
    const std::size_t line_end = all.find("\r\n");
    const std::size_t head_end = all.find("\r\n\r\n");
    if (line_end != std::string_view::npos && !trimmed(all.substr(0, line_end)).empty())
      return wrong("something stands behind a boundary");
    if (head_end != std::string_view::npos && head_end <= kHeadMost) {
      std::string head;
      if (head_end > line_end) head = all.substr(line_end + 2, head_end - line_end - 2);
      begin_ += head_end + 4;
      return head;
    }
    if (all.size() > kHeadMost) return wrong("the header of a part is too long");
    ARTCACHE_TRY(const bool more, fill());
    if (!more) return wrong("the body ends in front of its last boundary");
  }
}

Result<void> MultipartReader::skip_epilogue() {
  state_ = State::done;
  for (;;) {
    begin_ = end_ = 0;
    ARTCACHE_TRY(const bool more, fill());
    if (!more) return {};
  }
}

Result<std::optional<PartHead>> MultipartReader::next() {
  if (state_ == State::done) return std::optional<PartHead>{};
  if (state_ != State::after_boundary) ARTCACHE_CHECK(skip_part());
  while (end_ - begin_ < 2) {
    ARTCACHE_TRY(const bool more, fill());
    if (!more) return wrong("the body ends in front of its last boundary");
  }
  if (held().starts_with("--")) {
    ARTCACHE_CHECK(skip_epilogue());
    return std::optional<PartHead>{};
  }
  if (++parts_ > kPartsMost) return wrong("there are more than 100 parts");
  ARTCACHE_TRY(const std::string text, take_head());
  ARTCACHE_TRY(PartHead head, parse_head(text));
  state_ = State::in_part;
  clear_ = 0;
  return std::optional(std::move(head));
}

}  // namespace artcache::http
