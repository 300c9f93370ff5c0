// SPDX-License-Identifier: Apache-2.0
#include <artcache/file_id.hpp>

#include <algorithm>
#include <mutex>

#include "util/hash.hpp"
#include "util/random.hpp"
#include "util/utf8.hpp"

namespace artcache {
namespace {

constexpr std::size_t kTextLength = 36;

constexpr bool is_dash_at(std::size_t i) { return i == 8 || i == 13 || i == 18 || i == 23; }

Error not_an_id(std::string_view text) {
  return Error{Errc::invalid_argument,
               "file id: '" + util::printable(text, 40) + "' is not a UUID"};
}

/// Milliseconds and a 12-bit count inside them, growing from call to call even when the wall
/// clock stands still or jumps back.
std::uint64_t next_tick(std::uint64_t now_ms) {
  static std::mutex mutex;
  static std::uint64_t last = 0;
  const std::scoped_lock guard(mutex);
  last = std::max(last + 1, now_ms << 12);
  return last;
}

}  // namespace

Result<FileId> FileId::parse(std::string_view text) {
  if (text.size() != kTextLength) return not_an_id(text);
  char digits[2 * sizeof(Bytes)];
  char* end = std::copy_n(text.data(), 8, digits);
  for (const std::size_t dash : {8U, 13U, 18U, 23U}) {
    if (text[dash] != '-') return not_an_id(text);
    end = std::copy_n(text.data() + dash + 1, dash == 23 ? 12 : 4, end);
  }
  Bytes bytes{};
  if (!util::parse_hex({digits, sizeof digits}, bytes)) return not_an_id(text);
  return FileId(bytes);
}

FileId FileId::mint(const Clock& clock) {
  const auto micros = std::max<std::int64_t>(0, clock.now().micros());
  const std::uint64_t tick = next_tick(static_cast<std::uint64_t>(micros) / 1000);
  Bytes bytes{};
  util::fill_random(bytes);
  for (std::size_t i = 0; i < 6; ++i)
    bytes[i] = static_cast<std::uint8_t>(tick >> 12 >> (40 - 8 * i));
  bytes[6] = static_cast<std::uint8_t>(0x70 | (tick >> 8 & 0x0f));
  bytes[7] = static_cast<std::uint8_t>(tick);
  bytes[8] = static_cast<std::uint8_t>(0x80 | (bytes[8] & 0x3f));
  return FileId(bytes);
}

std::optional<Timestamp> FileId::minted_at() const {
  if (version() != 7) return std::nullopt;
  std::int64_t ms = 0;
  for (std::size_t i = 0; i < 6; ++i) ms = ms << 8 | bytes_[i];
  const Timestamp time{std::chrono::milliseconds(ms)};
  if (time > Timestamp::max()) return std::nullopt;
  return time;
}

std::string to_string(const FileId& id) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(kTextLength);
  for (std::size_t i = 0; i < id.bytes().size(); ++i) {
    if (is_dash_at(text.size())) text.push_back('-');
    text.push_back(kDigits[id.bytes()[i] >> 4]);
    text.push_back(kDigits[id.bytes()[i] & 0x0f]);
  }
  return text;
}

}  // namespace artcache
