// SPDX-License-Identifier: Apache-2.0
#include "util/hash.hpp"

#include <openssl/evp.h>

#include <new>

#include "util/hex.hpp"

namespace artcache::util {
namespace {

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_MD_CTX, FreeContext>;

/// Fetched once: looking it up costs more than hashing a sidecar.
const EVP_MD* algorithm() {
  static const EVP_MD* const md = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return md;
}

Context make_context() {
  Context context(EVP_MD_CTX_new());
  // The only ways to fail are no memory and an OpenSSL without SHA-256.
  if (context == nullptr || algorithm() == nullptr) throw std::bad_alloc();
  return context;
}

void begin(EVP_MD_CTX* context) { EVP_DigestInit_ex2(context, algorithm(), nullptr); }

Sha256Bytes end(EVP_MD_CTX* context) {
  Sha256Bytes sum{};
  EVP_DigestFinal_ex(context, sum.data(), nullptr);
  return sum;
}

}  // namespace

Sha256Bytes sha256(std::string_view bytes) {
  thread_local const Context context = make_context();
  begin(context.get());
  EVP_DigestUpdate(context.get(), bytes.data(), bytes.size());
  return end(context.get());
}

struct Sha256::Impl {
  Context context = make_context();
};

Sha256::Sha256() : impl_(std::make_unique<Impl>()) { begin(impl_->context.get()); }
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(std::span<const std::byte> bytes) {
  EVP_DigestUpdate(impl_->context.get(), bytes.data(), bytes.size());
}

Sha256Bytes Sha256::finish() {
  const Sha256Bytes sum = end(impl_->context.get());
  begin(impl_->context.get());
  return sum;
}

void append_hex(std::string& out, std::span<const std::uint8_t> bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  for (const std::uint8_t byte : bytes) {
    out.push_back(kDigits[byte >> 4]);
    out.push_back(kDigits[byte & 0x0f]);
  }
}

bool parse_hex(std::string_view text, std::span<std::uint8_t> out) {
  if (text.size() != out.size() * 2) return false;
  for (std::size_t i = 0; i < out.size(); ++i) {
    // A digit that is none is negative, and so is whatever it is combined with.
    const int both = hex_value(text[2 * i]) * 16 | hex_value(text[2 * i + 1]);
    if (both < 0) return false;
    out[i] = static_cast<std::uint8_t>(both);
  }
  return true;
}

}  // namespace artcache::util
