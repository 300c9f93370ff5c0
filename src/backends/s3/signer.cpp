// SPDX-License-Identifier: Apache-2.0
#include "backends/s3/signer.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <span>

#include "util/hash.hpp"

namespace artcache::s3 {
namespace {

std::string hex(std::span<const std::uint8_t> bytes) {
  std::string out;
  util::append_hex(out, bytes);
  return out;
}

std::string hmac(std::string_view key, std::string_view text) {
  std::array<unsigned char, 32> sum{};
  unsigned size = sum.size();
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), sum.data(), &size);
  return {reinterpret_cast<const char*>(sum.data()), size};
}

bool unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

}  // namespace

std::string encode(std::string_view text, Slash slash) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (unreserved(c) || (c == '/' && slash == Slash::kept)) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += kDigits[byte >> 4];
    out += kDigits[byte & 0x0f];
  }
  return out;
}

std::string encode(Query query) {
  for (auto& [name, value] : query) {
    name = encode(name, Slash::encoded);
    value = encode(value, Slash::encoded);
  }
  std::sort(query.begin(), query.end());
  std::string out;
  for (const auto& [name, value] : query) {
    if (!out.empty()) out += '&';
    out.append(name).append("=").append(value);
  }
  return out;
}

std::string amz_date(Timestamp now) {
  std::string date;  // 2013-05-24T00:00:00.000000Z without its marks and its fraction
  for (const char c : to_string(now, TimestampStyle::zulu).substr(0, 19))
    if (c != '-' && c != ':') date += c;
  return date + "Z";
}

std::string authorization(const SignedRequest& request, const Credentials& credentials,
                          std::string_view region, std::string_view date) {
  Headers headers = request.headers;
  std::sort(headers.begin(), headers.end());
  std::string canonical, names;
  canonical.append(request.method).append("\n").append(request.path).append("\n");
  canonical.append(request.query).append("\n");
  for (const auto& [name, value] : headers) {
    canonical.append(name).append(":").append(value).append("\n");
    if (!names.empty()) names += ';';
    names += name;
  }
  canonical.append("\n").append(names).append("\n").append(request.payload_hash);

  const std::string day(date.substr(0, 8));
  const std::string scope = day + "/" + std::string(region) + "/s3/aws4_request";
  const std::string to_sign =
      "AWS4-HMAC-SHA256\n" + std::string(date) + "\n" + scope + "\n" + hex(util::sha256(canonical));
  const std::string key =
      hmac(hmac(hmac(hmac("AWS4" + credentials.secret_key, day), region), "s3"), "aws4_request");
  const std::string sum = hmac(key, to_sign);
  return "AWS4-HMAC-SHA256 Credential=" + credentials.access_key + "/" + scope +
         ",SignedHeaders=" + names +
         ",Signature=" + hex({reinterpret_cast<const std::uint8_t*>(sum.data()), sum.size()});
}

}  // namespace artcache::s3
