// SPDX-License-Identifier: Apache-2.0
#include "auth/rsa.hpp"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <climits>
#include <vector>

#include "auth/base64.hpp"
#include "util/hash.hpp"
#include "util/try.hpp"

namespace artcache::auth {
namespace {

struct Free {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(BIGNUM* number) const { BN_free(number); }
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;
using Key = std::shared_ptr<EVP_PKEY>;

Key own(EVP_PKEY* key) {
  return {key, [](EVP_PKEY* k) { EVP_PKEY_free(k); }};
}

const std::uint8_t* bytes_of(std::string_view text) {
  return reinterpret_cast<const std::uint8_t*>(text.data());
}

/// What OpenSSL has to say goes no further: it keeps a queue for each thread that would grow.
Error failed(Errc code, std::string message) {
  ERR_clear_error();
  return {code, std::move(message)};
}

Owned<BIO> reading(std::string_view text) {
  if (text.size() > INT_MAX) return nullptr;
  return Owned<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string contents(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

/// Without it OpenSSL would ask for the password of an encrypted key at the terminal.
int no_password(char*, int, int, void*) { return -1; }

/// Big-endian without leading zeros, in base64url.
std::string number_of(const EVP_PKEY* key, const char* name) {
  BIGNUM* raw = nullptr;
  if (EVP_PKEY_get_bn_param(key, name, &raw) != 1) return {};
  const Owned<BIGNUM> number(raw);
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(BN_num_bytes(raw)));
  BN_bn2bin(raw, bytes.data());
  return base64url(bytes);
}

Result<void> check_kind(const EVP_PKEY* key) {
  if (key == nullptr) return failed(Errc::invalid_argument, "key: this is no RSA key in PEM form");
  if (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA)
    return failed(Errc::invalid_argument, "key: only RSA keys sign RS256");
  const int bits = EVP_PKEY_get_bits(key);
  if (bits < kKeyBitsLeast || bits > kKeyBitsMost)
    return failed(Errc::invalid_argument, "key: " + std::to_string(bits) + " bits; needed are " +
                                              std::to_string(kKeyBitsLeast) + " to " +
                                              std::to_string(kKeyBitsMost));
  return {};
}

EVP_PKEY* read_public(std::string_view pem) {
  const auto bio = reading(pem);
  if (!bio) return nullptr;
  if (pem.find("-----BEGIN CERTIFICATE-----") != std::string_view::npos) {
    const Owned<X509> certificate(PEM_read_bio_X509(bio.get(), nullptr, no_password, nullptr));
    return certificate ? X509_get_pubkey(certificate.get()) : nullptr;
  }
  return PEM_read_bio_PUBKEY(bio.get(), nullptr, no_password, nullptr);
}

}  // namespace

Result<PublicKey> PublicKey::of(std::shared_ptr<EVP_PKEY> key) {
  ARTCACHE_CHECK(check_kind(key.get()));
  PublicKey out;
  out.modulus_ = number_of(key.get(), OSSL_PKEY_PARAM_RSA_N);
  out.exponent_ = number_of(key.get(), OSSL_PKEY_PARAM_RSA_E);
  if (out.modulus_.empty() || out.exponent_.empty())
    return failed(Errc::internal, "key: OpenSSL does not tell its numbers");
  const std::string members =
      R"({"e":")" + out.exponent_ + R"(","kty":"RSA","n":")" + out.modulus_ + R"("})";
  out.id_ = base64url(util::sha256(members));
  out.key_ = std::move(key);
  return out;
}

Result<PublicKey> PublicKey::from_pem(std::string_view pem) {
  if (pem.find("PRIVATE KEY-----") != std::string_view::npos)
    return Error{Errc::invalid_argument, "key: a private key stands where a public one should"};
  return of(own(read_public(pem)));
}

std::string PublicKey::pem() const {
  const Owned<BIO> bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PUBKEY(bio.get(), key_.get());
  return contents(bio.get());
}

bool PublicKey::verifies(std::string_view message, std::string_view signature) const {
  if (signature.size() != static_cast<std::size_t>(EVP_PKEY_get_size(key_.get()))) return false;
  const Owned<EVP_MD_CTX> context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* padding = nullptr;  // belongs to the context
  const bool good =
      context != nullptr &&
      EVP_DigestVerifyInit(context.get(), &padding, EVP_sha256(), nullptr, key_.get()) == 1 &&
      EVP_PKEY_CTX_set_rsa_padding(padding, RSA_PKCS1_PADDING) == 1 &&
      EVP_DigestVerify(context.get(), bytes_of(signature), signature.size(), bytes_of(message),
                       message.size()) == 1;
  if (!good) ERR_clear_error();
  return good;
}

Result<PrivateKey> PrivateKey::of(std::shared_ptr<EVP_PKEY> key) {
  PrivateKey out;
  ARTCACHE_CHECK(check_kind(key.get()));
  // By way of PEM, so that the public key holds nothing of the private one.
  const Owned<BIO> bio(BIO_new(BIO_s_mem()));
  if (!bio || PEM_write_bio_PUBKEY(bio.get(), key.get()) != 1)
    return failed(Errc::internal, "key: cannot take the public key out of it");
  ARTCACHE_TRY(out.public_, PublicKey::from_pem(contents(bio.get())));
  out.key_ = std::move(key);
  return out;
}

Result<PrivateKey> PrivateKey::generate(int bits) {
  if (bits < kKeyBitsLeast || bits > kKeyBitsMost)
    return Error{Errc::invalid_argument, "key: cannot make one of so many bits"};
  auto key = own(EVP_RSA_gen(static_cast<unsigned>(bits)));
  if (!key) return failed(Errc::internal, "key: OpenSSL cannot make one");
  return of(std::move(key));
}

Result<PrivateKey> PrivateKey::from_pem(std::string_view pem) {
  const auto bio = reading(pem);
  if (!bio) return failed(Errc::invalid_argument, "key: too long");
  return of(own(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr)));
}

std::string PrivateKey::pem() const {
  const Owned<BIO> bio(BIO_new(BIO_s_secmem()));
  PEM_write_bio_PKCS8PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr);
  return contents(bio.get());
}

Result<std::string> PrivateKey::sign(std::string_view message) const {
  const Owned<EVP_MD_CTX> context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* padding = nullptr;  // belongs to the context
  std::string out(static_cast<std::size_t>(EVP_PKEY_get_size(key_.get())), '\0');
  std::size_t size = out.size();
  const bool good =
      context != nullptr &&
      EVP_DigestSignInit(context.get(), &padding, EVP_sha256(), nullptr, key_.get()) == 1 &&
      EVP_PKEY_CTX_set_rsa_padding(padding, RSA_PKCS1_PADDING) == 1 &&
      EVP_DigestSign(context.get(), reinterpret_cast<std::uint8_t*>(out.data()), &size,
                     bytes_of(message), message.size()) == 1;
  if (!good) return failed(Errc::internal, "key: cannot sign");
  out.resize(size);
  return out;
}

}  // namespace artcache::auth
