// SPDX-License-Identifier: Apache-2.0
#include "util/hash.hpp"

#include <openssl/evp.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

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

#if defined(__SSE2__)
/// Sixteen digits of either case to eight bytes; false when one is no digit.
bool parse_sixteen_digits(const char* text, std::uint8_t* out) {
  const auto at_most = [](__m128i bytes, char most) {
    return _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(most)), bytes);
  };
  const __m128i chars = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text));
  const __m128i number = _mm_sub_epi8(chars, _mm_set1_epi8('0'));
  const __m128i letter = _mm_sub_epi8(_mm_or_si128(chars, _mm_set1_epi8(0x20)), _mm_set1_epi8('a'));
  const __m128i is_number = at_most(number, 9), is_letter = at_most(letter, 5);
  if (_mm_movemask_epi8(_mm_or_si128(is_number, is_letter)) != 0xffff) return false;
  const __m128i digits =
      _mm_or_si128(_mm_and_si128(is_number, number),
                   _mm_and_si128(is_letter, _mm_add_epi8(letter, _mm_set1_epi8(10))));
  // Of two digits the first, which lies in the low byte of its pair, is the high half.
  const __m128i pairs = _mm_or_si128(_mm_slli_epi16(digits, 4), _mm_srli_epi16(digits, 8));
  const __m128i bytes = _mm_and_si128(pairs, _mm_set1_epi16(0xff));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(out), _mm_packus_epi16(bytes, bytes));
  return true;
}
#endif

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
  std::size_t i = 0;
#if defined(__SSE2__)
  for (; i + 8 <= out.size(); i += 8)
    if (!parse_sixteen_digits(text.data() + 2 * i, out.data() + i)) return false;
#endif
  for (; i < out.size(); ++i) {
    // A digit that is none is negative, and so is whatever it is combined with.
    const int both = hex_value(text[2 * i]) * 16 | hex_value(text[2 * i + 1]);
    if (both < 0) return false;
    out[i] = static_cast<std::uint8_t>(both);
  }
  return true;
}

}  // namespace artcache::util
