// SPDX-License-Identifier: Apache-2.0
// Which keys are trusted: a ring of public keys that may change while requests run.
#pragma once

#include <artcache/backends.hpp>
#include <artcache/result.hpp>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "auth/rsa.hpp"
#include "util/mutex.hpp"

namespace artcache::auth {

/// More keys than this are a mistake: a token without `kid` is tried with each.
inline constexpr std::size_t kKeysMost = 32;

/// The keys at one moment.
struct Keys {
  std::vector<PublicKey> all;
  std::uint64_t version = 0;  ///< grows with every change

  /// Whether one of them made the signature: the one named, or any when `key_id` is empty.
  [[nodiscard]] bool verify(std::string_view key_id, std::string_view message,
                            std::string_view signature) const;
};

/// Safe to use from any thread.
class KeyRing {
 public:
  /// Replaces all keys at once. For rotation the old ones stay in as long as their tokens live.
  /// The same keys again change nothing. Errors: invalid_argument (more than kKeysMost).
  Result<void> set(std::vector<PublicKey> keys);
  [[nodiscard]] std::shared_ptr<const Keys> keys() const;

 private:
  mutable util::Mutex mutex_;
  std::shared_ptr<const Keys> keys_ ARTCACHE_GUARDED_BY(mutex_) = std::make_shared<const Keys>();
};

/// The ring as a JSON Web Key Set (RFC 7517).
std::string key_set(const Keys& keys);

/// Every public key of a text that may hold several, one behind the other.
/// Errors: as PublicKey::from_pem(), not_found (there is none).
Result<std::vector<PublicKey>> read_public_keys(std::string_view pem);

/// Those of a PEM file, or of all *.pem of a folder together; files of a folder that hold private
/// keys are passed over. Hangs where the file system does.
/// Errors: not_found (no such place, no key in it), unavailable, invalid_argument; each names the
/// file.
Result<std::vector<PublicKey>> read_key_files(const std::filesystem::path& place);

/// Keeps a ring as such files say. Safe to use from any thread.
class KeyFiles {
 public:
  KeyFiles(KeyRing& ring, const Deps& deps) : ring_(ring), deps_(deps) {}

  /// Of what read_key_files() said. On an error the ring stays as it was. Logs nothing.
  /// Errors: that of `read`, and those of KeyRing::set().
  Result<void> take(Result<std::vector<PublicKey>> read);
  /// What the last of these said.
  [[nodiscard]] Result<void> last() const;
  /// Tells the log of that, where it says something else than the log was told before.
  void tell();

 private:
  KeyRing& ring_;
  const Deps deps_;
  mutable util::Mutex mutex_;
  Result<void> last_ ARTCACHE_GUARDED_BY(mutex_);
  std::string told_ ARTCACHE_GUARDED_BY(mutex_);  // empty: all is well
};

}  // namespace artcache::auth
