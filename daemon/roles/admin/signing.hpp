// SPDX-License-Identifier: Apache-2.0
// The keys that sign tokens: kept in the database, rotated, shown to those who verify.
#pragma once

#include <artcache/backends.hpp>
#include <artcache/call.hpp>
#include <artcache/result.hpp>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "auth/jwt.hpp"
#include "auth/keys.hpp"
#include "roles/admin/tables.hpp"
#include "util/mutex.hpp"

namespace artcache::admin {

struct SigningOptions {
  std::chrono::milliseconds rotate_every{0};  ///< 0: only when asked to
  /// How long a retired key still verifies: as long as the tokens that live longest.
  std::chrono::milliseconds overlap = std::chrono::hours(24 * 7);
  std::filesystem::path first_key = {};  ///< PEM of the first key; empty: one is made
  /// Where the public keys are put as `<kid>.pem`, for those who read files; empty: nowhere.
  std::filesystem::path public_folder = {};
};

/// Safe to use from any thread. Several processes may share one database: each signs with the
/// newest key, and verifies with all, once it has loaded them.
class Signing {
 public:
  Signing(Database& database, auth::KeyRing& ring, const Deps& deps, SigningOptions options);

  /// Reads the keys, and makes the first one where there is none. To be called now and then, for
  /// what other processes did. Errors: those of the database and of the files.
  Result<void> load(const Call& call);
  /// A new key signs from now on. Errors: as load().
  Result<JwtKey> rotate(const Call& call);
  /// rotate() when the newest key is old enough, else load(). Of several processes that find it too
  /// old one makes the next.
  Result<void> tend(const Call& call);

  /// Errors: unavailable (nothing was loaded yet).
  [[nodiscard]] Result<std::string> mint(const auth::Claims& claims) const;
  /// The newest first, without their private parts.
  [[nodiscard]] std::vector<JwtKey> known() const;

 private:
  Result<auth::PrivateKey> first_key() const;
  Result<JwtKey> add(Session& session, const auth::PrivateKey& key, std::int64_t rotation) const;
  Result<void> use(std::vector<JwtKey> keys);
  Result<void> publish(const std::vector<JwtKey>& keys) const;
  /// Errors: conflict (another key is the newest than the one to be replaced, if any is named).
  Result<JwtKey> rotate(const Call& call, std::string_view instead_of);
  Result<JwtKey> rotate_keys(const Call& call, std::string_view instead_of);
  void show(const std::vector<JwtKey>& keys) const;
  [[nodiscard]] double seconds_since(Clock::SteadyTime begun) const;

  Database& database_;
  auth::KeyRing& ring_;
  const Deps deps_;
  const SigningOptions options_;
  mutable util::Mutex mutex_;
  std::vector<JwtKey> keys_ ARTCACHE_GUARDED_BY(mutex_);
  std::shared_ptr<const auth::PrivateKey> signer_ ARTCACHE_GUARDED_BY(mutex_);
};

}  // namespace artcache::admin
