// SPDX-License-Identifier: Apache-2.0
// Secrets and passwords: how new ones are made, how they are kept, how one is checked.
#pragma once

#include <artcache/result.hpp>
#include <cstdint>
#include <string>
#include <string_view>

namespace artcache::auth {

/// Longer ones are refused unread.
inline constexpr std::size_t kSecretMost = 1024;

/// What a guess costs: about 16 MiB and some hundredths of a second.
struct HashCost {
  std::uint64_t n = 16384;  ///< a power of two
  std::uint32_t r = 8, p = 1;
};

/// `$scrypt$n=16384,r=8,p=1$SALT$HASH`: says itself how it was made, so the cost can grow later.
/// Slow on purpose: not for the I/O thread. Errors: invalid_argument (empty, or too long),
/// internal.
Result<std::string> hash_secret(std::string_view secret, const HashCost& cost = {});

/// Whether this is the secret; as slow as hash_secret(), and false for a text that is no hash.
/// Takes equally long for a right and a wrong one.
bool is_secret(std::string_view secret, std::string_view stored);

/// For accounts that do not exist: costs what is_secret() costs, so that nobody learns from the
/// time which do.
void waste_a_check(std::string_view secret);

/// Equal, found out in a time that depends on the lengths only.
bool same_secret(std::string_view a, std::string_view b);

/// `bytes` bytes that nobody can guess, in base64url.
std::string random_word(std::size_t bytes);
/// The same in hexadecimal digits.
std::string random_hex(std::size_t bytes);
/// A random UUID (version 4) as text.
std::string random_uuid();

}  // namespace artcache::auth
