// SPDX-License-Identifier: Apache-2.0
#include <artcache/record.hpp>

#include "util/hash.hpp"

namespace artcache {
namespace {

std::uint64_t big_endian(const std::uint8_t* bytes) {
  std::uint64_t number = 0;
  for (int i = 0; i < 8; ++i) number = number << 8 | bytes[i];
  return number;
}

}  // namespace

std::string to_string(const ContentHash& hash) {
  std::string text;
  util::append_hex(text, hash.bytes);
  return text;
}

Result<Digest> Digest::parse(std::string_view text) {
  std::array<std::uint8_t, 16> bytes{};
  if (!util::parse_hex(text, bytes))
    return Error{Errc::invalid_argument,
                 "digest: '" + std::string(text.substr(0, 40)) + "' is not 32 hexadecimal digits"};
  return Digest(big_endian(bytes.data()), big_endian(bytes.data() + 8));
}

Digest Digest::of(std::string_view key, const ContentHash& hash) {
  // The hash has a fixed length and comes first, so no two pairs give the same bytes.
  std::string bytes(hash.bytes.begin(), hash.bytes.end());
  bytes.append(key);
  const auto sum = util::sha256(bytes);
  return {big_endian(sum.data()), big_endian(sum.data() + 8)};
}

std::string to_string(const Digest& digest) {
  std::array<std::uint8_t, 16> bytes{};
  for (std::size_t i = 0; i < 8; ++i) {
    bytes[i] = static_cast<std::uint8_t>(digest.high() >> (56 - 8 * i));
    bytes[8 + i] = static_cast<std::uint8_t>(digest.low() >> (56 - 8 * i));
  }
  std::string text;
  util::append_hex(text, bytes);
  return text;
}

}  // namespace artcache
