// SPDX-License-Identifier: Apache-2.0
#include "auth/secret.hpp"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <array>
#include <charconv>
#include <memory>
#include <optional>
#include <vector>

#include "auth/base64.hpp"
#include "util/hash.hpp"
#include "util/random.hpp"
#include "util/try.hpp"

namespace artcache::auth {
namespace {

constexpr std::string_view kPrefix = "$scrypt$";
constexpr std::size_t kSaltBytes = 16;
// A stored text that asks for more than this was not written by us.
constexpr std::uint64_t kMemoryMost = 256ULL * 1024 * 1024;

using Digest = std::array<std::uint8_t, 32>;

struct Free {
  void operator()(EVP_KDF* kdf) const { EVP_KDF_free(kdf); }
  void operator()(EVP_KDF_CTX* context) const { EVP_KDF_CTX_free(context); }
};

bool acceptable(const HashCost& cost) {
  return cost.n >= 2 && cost.n <= kMemoryMost && (cost.n & (cost.n - 1)) == 0 && cost.r >= 1 &&
         cost.r <= 64 && cost.p >= 1 && cost.p <= 16 && 128 * cost.n * cost.r <= kMemoryMost;
}

std::optional<Digest> derive(std::string_view secret, std::string salt, HashCost cost) {
  const std::unique_ptr<EVP_KDF, Free> kdf(EVP_KDF_fetch(nullptr, "SCRYPT", nullptr));
  const std::unique_ptr<EVP_KDF_CTX, Free> context(EVP_KDF_CTX_new(kdf.get()));
  std::string password(secret);  // OpenSSL wants pointers that are not const
  std::uint64_t memory = 2 * kMemoryMost;
  const std::array parameters{
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PASSWORD, password.data(), password.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, salt.data(), salt.size()),
      OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_N, &cost.n),
      OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_R, &cost.r),
      OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_P, &cost.p),
      OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_MAXMEM, &memory),
      OSSL_PARAM_construct_end()};
  Digest out{};
  const bool good =
      context && EVP_KDF_derive(context.get(), out.data(), out.size(), parameters.data()) == 1;
  OPENSSL_cleanse(password.data(), password.size());
  if (good) return out;
  ERR_clear_error();
  return std::nullopt;
}

struct Stored {
  HashCost cost;
  std::string salt, hash;
};

/// Takes `name=NUMBER` off the front.
template <class N>
bool take_number(std::string_view& text, std::string_view name, N& out) {
  if (!text.starts_with(name)) return false;
  text.remove_prefix(name.size());
  const auto end = std::from_chars(text.data(), text.data() + text.size(), out);
  if (end.ec != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(end.ptr - text.data()));
  return true;
}

std::optional<Stored> parse(std::string_view text) {
  Stored out;
  if (!take_number(text, "$scrypt$n=", out.cost.n) || !take_number(text, ",r=", out.cost.r) ||
      !take_number(text, ",p=", out.cost.p) || !text.starts_with('$') || !acceptable(out.cost))
    return std::nullopt;
  text.remove_prefix(1);
  const auto end = text.find('$');
  if (end == std::string_view::npos) return std::nullopt;
  auto salt = from_base64url(text.substr(0, end));
  auto hash = from_base64url(text.substr(end + 1));
  if (!salt || !hash || hash->size() != std::tuple_size_v<Digest>) return std::nullopt;
  out.salt = std::move(*salt);
  out.hash = std::move(*hash);
  return out;
}

std::vector<std::uint8_t> random_bytes(std::size_t bytes) {
  std::vector<std::uint8_t> out(bytes);
  util::fill_random(out);
  return out;
}

}  // namespace

Result<std::string> hash_secret(std::string_view secret, const HashCost& cost) {
  if (secret.empty() || secret.size() > kSecretMost)
    return Error{Errc::invalid_argument,
                 "secret: empty, or longer than " + std::to_string(kSecretMost) + " bytes"};
  if (!acceptable(cost)) return Error{Errc::invalid_argument, "secret: no such cost"};
  const auto salt = random_bytes(kSaltBytes);
  const auto digest = derive(secret, std::string(salt.begin(), salt.end()), cost);
  if (!digest) return Error{Errc::internal, "secret: OpenSSL cannot do scrypt"};
  return std::string(kPrefix) + "n=" + std::to_string(cost.n) + ",r=" + std::to_string(cost.r) +
         ",p=" + std::to_string(cost.p) + "$" + base64url(salt) + "$" + base64url(*digest);
}

bool is_secret(std::string_view secret, std::string_view stored) {
  if (secret.size() > kSecretMost) return false;
  const auto known = parse(stored);
  if (!known) return false;
  const auto digest = derive(secret, known->salt, known->cost);
  return digest && CRYPTO_memcmp(digest->data(), known->hash.data(), digest->size()) == 0;
}

void waste_a_check(std::string_view secret) {
  (void)derive(secret.substr(0, kSecretMost), std::string(kSaltBytes, '\0'), HashCost());
}

bool same_secret(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string random_word(std::size_t bytes) { return base64url(random_bytes(bytes)); }

std::string random_hex(std::size_t bytes) {
  std::string out;
  util::append_hex(out, random_bytes(bytes));
  return out;
}

std::string random_uuid() {
  std::array<std::uint8_t, 16> bytes{};
  util::fill_random(bytes);
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3f) | 0x80);
  std::string out;
  util::append_hex(out, bytes);
  for (const std::size_t at : {8U, 13U, 18U, 23U}) out.insert(at, 1, '-');
  return out;
}

}  // namespace artcache::auth
