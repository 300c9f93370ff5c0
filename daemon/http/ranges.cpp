// SPDX-License-Identifier: Apache-2.0
#include "http/ranges.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <utility>

namespace artcache::http {
namespace {

using std::chrono::floor;
using std::chrono::seconds;

constexpr std::array<std::string_view, 7> kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array<std::string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

enum class Compare : std::uint8_t { weakly, strongly };

bool names_tag(std::string_view list, std::string_view etag, Compare compare) {
  while (!list.empty()) {
    std::string_view tag = trimmed(list.substr(0, list.find(',')));
    list.remove_prefix(std::min(list.size(), list.find(',')));
    if (list.starts_with(',')) list.remove_prefix(1);
    if (tag == "*") return true;
    if (compare == Compare::weakly && tag.starts_with("W/")) tag.remove_prefix(2);
    if (tag == etag) return true;
  }
  return false;
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc::result_out_of_range && at == end) return UINT64_MAX;
  if (error != std::errc{} || at != end) return std::nullopt;
  return value;
}

seconds whole_seconds(Timestamp time) { return floor<seconds>(time.since_epoch()); }

std::optional<Selection::Kind> condition(const Headers& headers, const Representation& there) {
  using Kind = Selection::Kind;
  const auto since = [&](std::string_view name) -> std::optional<bool> {
    const auto text = headers.find(name);
    const auto date = text ? parse_http_date(*text) : std::nullopt;
    if (!date) return std::nullopt;
    return whole_seconds(there.modified) > whole_seconds(*date);
  };
  if (const auto tags = headers.find("If-Match")) {
    if (!names_tag(*tags, there.etag, Compare::strongly)) return Kind::failed;
  } else if (since("If-Unmodified-Since").value_or(false)) {
    return Kind::failed;
  }
  if (const auto tags = headers.find("If-None-Match")) {
    if (names_tag(*tags, there.etag, Compare::weakly)) return Kind::not_modified;
  } else if (!since("If-Modified-Since").value_or(true)) {
    return Kind::not_modified;
  }
  return std::nullopt;
}

/// A part of the whole is only good for a client that has another part of the same.
bool same_as_if_range(const Headers& headers, const Representation& there) {
  const auto text = headers.find("If-Range");
  if (!text) return true;
  if (text->starts_with('"') || text->starts_with("W/"))
    return names_tag(*text, there.etag, Compare::strongly);
  const auto date = parse_http_date(*text);
  return date && whole_seconds(*date) == whole_seconds(there.modified);
}

Selection range_of(std::string_view text, std::uint64_t size) {
  using Kind = Selection::Kind;
  const Selection whole{.kind = Kind::whole, .first = 0, .length = size};
  if (!text.starts_with("bytes=")) return whole;
  text = trimmed(text.substr(6));
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos) return whole;
  const std::string_view from = trimmed(text.substr(0, dash)), to = trimmed(text.substr(dash + 1));
  const auto first = number(from), last = number(to);
  if ((!from.empty() && !first) || (!to.empty() && !last) || (!first && !last)) return whole;
  if (!first) {  // the last bytes
    const std::uint64_t length = std::min(*last, size);
    if (length == 0) return {.kind = Kind::beyond};
    return {.kind = Kind::part, .first = size - length, .length = length};
  }
  if (last && *last < *first) return whole;
  if (*first >= size) return {.kind = Kind::beyond};
  const std::uint64_t end = std::min(last ? *last : UINT64_MAX, size - 1);
  return {.kind = Kind::part, .first = *first, .length = end - *first + 1};
}

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("!#$&+-.^_`|~").find(c) != std::string_view::npos;
}

template <class T, std::size_t N>
std::optional<unsigned> place_of(const std::array<T, N>& names, std::string_view name) {
  const auto at = std::ranges::find(names, name);
  if (at == names.end()) return std::nullopt;
  return static_cast<unsigned>(at - names.begin());
}

}  // namespace

Selection select(const Headers& headers, const Representation& there) {
  if (const auto kind = condition(headers, there)) return {.kind = *kind};
  const auto range = headers.find("Range");
  if (!range || !same_as_if_range(headers, there))
    return {.kind = Selection::Kind::whole, .first = 0, .length = there.size};
  return range_of(*range, there.size);
}

std::string content_range(const Selection& selection, std::uint64_t size) {
  if (selection.kind == Selection::Kind::beyond) return "bytes */" + std::to_string(size);
  return "bytes " + std::to_string(selection.first) + "-" +
         std::to_string(selection.first + selection.length - 1) + "/" + std::to_string(size);
}

std::string http_date(Timestamp time) {
  using namespace std::chrono;
  const sys_seconds moment{whole_seconds(time)};
  const auto day = floor<days>(moment);
  const year_month_day date{day};
  const hh_mm_ss clock{moment - day};
  char text[40];
  std::snprintf(text, sizeof text, "%s, %02u %s %04d %02d:%02d:%02d GMT",
                kDays[weekday{day}.c_encoding()].data(), static_cast<unsigned>(date.day()),
                kMonths[static_cast<unsigned>(date.month()) - 1].data(),
                static_cast<int>(date.year()), static_cast<int>(clock.hours().count()),
                static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()));
  return text;
}

std::optional<Timestamp> parse_http_date(std::string_view text) {
  // Sun, 06 Nov 1994 08:49:37 GMT
  if (text.size() != 29 || text.substr(3, 2) != ", " || text.substr(25) != " GMT" ||
      text[7] != ' ' || text[11] != ' ' || text[16] != ' ' || text[19] != ':' || text[22] != ':')
    return std::nullopt;
  const auto month = place_of(kMonths, text.substr(8, 3));
  const auto day = number(text.substr(5, 2)), year = number(text.substr(12, 4));
  const auto hour = number(text.substr(17, 2)), minute = number(text.substr(20, 2));
  const auto second = number(text.substr(23, 2));
  if (!month || !day || !year || !hour || !minute || !second) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(*year)),
                                         std::chrono::month(*month + 1),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  const auto since = std::chrono::sys_days(date).time_since_epoch() + std::chrono::hours(*hour) +
                     std::chrono::minutes(*minute) + seconds(*second);
  return Timestamp(since);
}

std::string attachment(std::string_view filename) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string ascii, extended;
  bool plain = true;
  for (const char c : filename) {
    const auto byte = static_cast<unsigned char>(c);
    const bool printable = byte >= 0x20 && byte < 0x7f && c != '"' && c != '\\';
    // One mark for each character that is more than a byte.
    if (printable)
      ascii += c;
    else if ((byte & 0xc0U) != 0x80U)
      ascii += '_';
    plain &= printable;
    if (is_plain(c))
      extended += c;
    else
      extended.append({'%', kHex[byte >> 4], kHex[byte & 15U]});
  }
  std::string value = "attachment; filename=\"" + ascii + "\"";
  if (!plain) value += "; filename*=UTF-8''" + extended;
  return value;
}

}  // namespace artcache::http
