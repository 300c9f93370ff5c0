// SPDX-License-Identifier: Apache-2.0
#include <artcache/record.hpp>

#include <charconv>

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

std::uint64_t key_hash(std::string_view key) { return big_endian(util::sha256(key).data()); }

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

std::string to_string(const Position& position) {
  std::array<std::uint8_t, 8> epoch{};
  for (std::size_t i = 0; i < 8; ++i)
    epoch[i] = static_cast<std::uint8_t>(position.epoch >> (56 - 8 * i));
  std::string text;
  util::append_hex(text, epoch);
  text.append("/").append(std::to_string(position.seq)).append("/");
  return text.append(to_string(position.digest));
}

Result<Position> parse_position(std::string_view text) {
  const auto bad = [&] {
    return Error{Errc::invalid_argument,
                 "position: '" + std::string(text.substr(0, 80)) + "' is not epoch/seq/digest"};
  };
  const std::size_t first = text.find('/'), second = text.find('/', first + 1);
  if (first == std::string_view::npos || second == std::string_view::npos) return bad();
  std::array<std::uint8_t, 8> epoch{};
  if (!util::parse_hex(text.substr(0, first), epoch)) return bad();
  Position position;
  position.epoch = big_endian(epoch.data());
  const std::string_view seq = text.substr(first + 1, second - first - 1);
  const auto [end, code] = std::from_chars(seq.data(), seq.data() + seq.size(), position.seq);
  if (code != std::errc() || end != seq.data() + seq.size()) return bad();
  auto digest = Digest::parse(text.substr(second + 1));
  if (!digest) return bad();
  position.digest = *digest;
  return position;
}

}  // namespace artcache
