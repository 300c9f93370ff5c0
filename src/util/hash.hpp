// SPDX-License-Identifier: Apache-2.0
// SHA-256 over OpenSSL, without its set-up costs on every call.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace artcache::util {

using Sha256Bytes = std::array<std::uint8_t, 32>;

/// Of one piece of memory. Quick for small ones; safe from any thread.
Sha256Bytes sha256(std::string_view bytes);

/// Of a stream. For one thread at a time.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  void update(std::span<const std::byte> bytes);
  /// The sum of all that was given; afterwards a new stream begins.
  Sha256Bytes finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

void append_hex(std::string& out, std::span<const std::uint8_t> bytes);
/// True when `text` is exactly two digits of either case for each byte of `out`.
bool parse_hex(std::string_view text, std::span<std::uint8_t> out);

}  // namespace artcache::util
