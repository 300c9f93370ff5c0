// SPDX-License-Identifier: Apache-2.0
// RSA keys and RS256 signatures (RSASSA-PKCS1-v1_5 with SHA-256) over OpenSSL.
#pragma once

#include <artcache/result.hpp>
#include <memory>
#include <string>
#include <string_view>

struct evp_pkey_st;  // OpenSSL's EVP_PKEY

namespace artcache::auth {

inline constexpr int kKeyBitsLeast = 2048;
inline constexpr int kKeyBitsMost = 8192;

/// A value, cheap to copy; safe to use from any thread.
class PublicKey {
 public:
  /// Reads "-----BEGIN PUBLIC KEY-----" or a certificate; no text that holds a private key.
  /// Errors: invalid_argument (not that, no RSA key, its length out of kKeyBitsLeast to
  /// kKeyBitsMost).
  static Result<PublicKey> from_pem(std::string_view pem);

  /// The `kid`: the thumbprint of RFC 7638, so one key has one id wherever it is kept.
  [[nodiscard]] const std::string& id() const { return id_; }
  [[nodiscard]] std::string pem() const;
  /// Modulus and exponent in base64url, as a key set has them.
  [[nodiscard]] const std::string& modulus() const { return modulus_; }
  [[nodiscard]] const std::string& exponent() const { return exponent_; }

  [[nodiscard]] bool verifies(std::string_view message, std::string_view signature) const;

 private:
  friend class PrivateKey;
  static Result<PublicKey> of(std::shared_ptr<evp_pkey_st> key);
  std::shared_ptr<evp_pkey_st> key_;
  std::string id_, modulus_, exponent_;
};

/// A value, cheap to copy; safe to use from any thread.
class PrivateKey {
 public:
  /// A new one. Takes a tenth of a second and more: not for the I/O thread. Errors: internal.
  static Result<PrivateKey> generate(int bits = kKeyBitsLeast);
  /// Errors: as PublicKey::from_pem(); invalid_argument for one that is encrypted.
  static Result<PrivateKey> from_pem(std::string_view pem);

  [[nodiscard]] const PublicKey& public_key() const { return public_; }
  /// Unencrypted PKCS #8. To be kept where nobody else reads it.
  [[nodiscard]] std::string pem() const;
  /// Errors: internal.
  [[nodiscard]] Result<std::string> sign(std::string_view message) const;

 private:
  static Result<PrivateKey> of(std::shared_ptr<evp_pkey_st> key);
  std::shared_ptr<evp_pkey_st> key_;
  PublicKey public_;
};

}  // namespace artcache::auth
