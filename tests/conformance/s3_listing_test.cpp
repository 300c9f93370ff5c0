// SPDX-License-Identifier: Apache-2.0
// How many requests a long listing costs, and that it asks for several parts at once: against a
// bucket made of nothing but names.
#include <atomic>
#include <set>

#include "backends/s3/signer.hpp"
#include "conformance/s3_suite.hpp"
#include "support/scripted_http.hpp"
#include "util/hex.hpp"

using namespace artcache;
using namespace artcache::test;

namespace {

std::string decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    out += static_cast<char>(util::hex_value(text[i + 1]) * 16 + util::hex_value(text[i + 2]));
    i += 2;
  }
  return out;
}

std::string parameter(const HttpRequest& request, const std::string& name) {
  for (const char* mark : {"?", "&"}) {
    const std::size_t at = request.target.find(mark + name + "=");
    if (at == std::string::npos) continue;
    const std::size_t begin = at + name.size() + 2;
    return decoded(request.target.substr(begin, request.target.find('&', begin) - begin));
  }
  return {};
}

/// Answers ListObjectsV2 over its names as S3 documents it, and counts.
struct Names {
  std::set<std::string> keys;
  std::atomic<std::size_t> pages{0}, folders_asked{0}, from_folders{0};

  HttpAnswer operator()(const HttpRequest& request) {
    const std::string prefix = parameter(request, "prefix");
    const std::string after = parameter(request, "start-after");
    const bool by_folder = !parameter(request, "delimiter").empty();
    const std::size_t most = std::stoul(parameter(request, "max-keys"));
    if (most == 1000) ++(by_folder ? folders_asked : pages);
    if (after.ends_with('/')) ++from_folders;
    std::string xml;
    std::string last_folder;
    std::size_t count = 0;
    auto at = after < prefix ? keys.lower_bound(prefix) : keys.upper_bound(after);
    for (; at != keys.end() && at->starts_with(prefix); ++at) {
      const std::size_t slash = by_folder ? at->find('/', prefix.size()) : std::string::npos;
      const std::string folder = slash == std::string::npos ? "" : at->substr(0, slash + 1);
      if (!folder.empty() && folder == last_folder) continue;
      if (++count > most) break;
      last_folder = folder;
      if (!folder.empty())
        xml += "<CommonPrefixes><Prefix>" + s3::encode(folder, s3::Slash::kept) +
               "</Prefix></CommonPrefixes>";
      else
        xml += "<Contents><Key>" + s3::encode(*at, s3::Slash::kept) +
               "</Key><Size>1</Size><ETag>e</ETag>"
               "<LastModified>2026-11-21T07:00:00.000Z</LastModified></Contents>";
    }
    return http_answer(200, "<ListBucketResult><IsTruncated>" +
                                std::string(count > most ? "true" : "false") + "</IsTruncated>" +
                                xml + "</ListBucketResult>");
  }
};

std::string number(std::size_t n, std::size_t digits) {
  std::string text = std::to_string(n);
  return std::string(digits - std::min(digits, text.size()), '0') + text;
}

/// Lists everything below `folder`, which must bring each key of it once.
void check_listing(Names& names, const std::string& folder, std::size_t expected) {
  const ScriptedHttp server([&](const HttpRequest& request) { return names(request); });
  const auto bucket = open_bucket("s3://b/p?conditional=off&endpoint=" + server.origin());
  const Listed listed = list_all(*bucket, folder);
  good(listed.result);
  CHECK(listed.times.size() == expected);
  for (const auto& [path, times] : listed.times)
    if (times != 1 || !names.keys.contains("p/" + path))
      FAIL(path << " came " << times << " times");
  CHECK(listed.largest_batch <= 1000);
}

}  // namespace

TEST_SUITE("s3 listing") {
  TEST_CASE("a listing of many folders is asked for in parts, for a tenth more requests at most") {
    Names names;
    for (std::size_t day = 0; day < 60; ++day)
      for (std::size_t hour = 0; hour < 24; ++hour)
        for (std::size_t n = 0; n < 50; ++n)
          names.keys.insert("p/2026/" + number(1 + day / 30, 2) + "/" + number(1 + day % 30, 2) +
                            "/" + number(hour, 2) + "/f " + number(n, 3));
    check_listing(names, "", 72'000);
    CHECK(names.from_folders >= 3);
    CHECK(names.pages + names.folders_asked <= 79);  // 72 and a tenth
    check_listing(names, "2026/02", 36'000);
  }

  TEST_CASE("folders of very different sizes, and files beside folders, are listed once each") {
    Names names;
    for (std::size_t n = 0; n < 15'000; ++n) names.keys.insert("p/a/" + number(n, 5));
    for (std::size_t n = 0; n < 3'000; ++n) names.keys.insert("p/b" + number(n, 4) + "/x/y");
    for (std::size_t n = 0; n < 7'000; ++n)
      names.keys.insert("p/c+ё/" + number(n % 7, 1) + "/" + number(n, 5));
    for (std::size_t n = 0; n < 5'000; ++n) names.keys.insert("p/d" + number(n, 5));
    check_listing(names, "", 30'000);
    CHECK(names.pages + names.folders_asked <= 33);
  }

  TEST_CASE("one flat folder is listed page after page") {
    Names names;
    for (std::size_t n = 0; n < 25'000; ++n) names.keys.insert("p/all/" + number(n, 5));
    check_listing(names, "all", 25'000);
    CHECK(names.from_folders == 0);
    CHECK(names.pages + names.folders_asked <= 27);
  }

  TEST_CASE("what is not asked for in parts costs one request a thousand") {
    for (const std::size_t count : {1U, 999U, 1000U, 1001U, 2000U, 2001U}) {
      Names names;
      for (std::size_t n = 0; n < count; ++n) names.keys.insert("p/" + number(n, 4) + "/x");
      check_listing(names, "", count);
      CHECK(names.pages == (count + 999) / 1000);
      CHECK(names.folders_asked == 0);
    }
  }
}
