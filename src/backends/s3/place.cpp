// SPDX-License-Identifier: Apache-2.0
#include "backends/s3/place.hpp"

#include <algorithm>
#include <charconv>

#include "util/hash.hpp"

namespace artcache::s3 {

Stamp make_stamp(std::uint64_t size, std::string_view etag) {
  Stamp stamp{size, {}};
  if (etag.empty()) return stamp;
  const auto sum = util::sha256(etag);
  std::copy_n(sum.begin(), stamp.mark.size(), stamp.mark.begin());
  return stamp;
}

std::optional<Timestamp> parse_http_date(std::string_view text) {
  constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  if (text.size() != 29 || !text.ends_with(" GMT")) return std::nullopt;
  const std::size_t month = kMonths.find(text.substr(8, 3));
  if (month == std::string_view::npos || month % 3 != 0) return std::nullopt;
  const std::string number = std::to_string(101 + month / 3).substr(1);
  const std::string iso = std::string(text.substr(12, 4)) + "-" + number + "-" +
                          std::string(text.substr(5, 2)) + "T" + std::string(text.substr(17, 8)) +
                          "Z";
  const auto time = Timestamp::parse(iso);
  if (!time) return std::nullopt;
  return *time;
}

Result<FileInfo> info_of(const Response& response, std::string_view path) {
  const auto bad = [&](std::string_view what) {
    return Error{Errc::corrupt,
                 "s3: '" + std::string(path) + "': the answer has no " + std::string(what)};
  };
  std::uint64_t size = response.length.value_or(0);
  if (response.status == 206) {
    const std::string_view range = response.content_range;
    const std::size_t slash = range.find('/');
    if (slash == std::string_view::npos) return bad("Content-Range");
    const std::string_view total = range.substr(slash + 1);
    const auto parsed = std::from_chars(total.data(), total.data() + total.size(), size);
    if (parsed.ec != std::errc() || parsed.ptr != total.data() + total.size())
      return bad("size in its Content-Range");
  } else if (!response.length) {
    return bad("Content-Length");
  }
  const auto modified = parse_http_date(response.last_modified);
  if (!modified) return bad("Last-Modified");
  return FileInfo{make_stamp(size, response.etag), *modified};
}

}  // namespace artcache::s3
