// SPDX-License-Identifier: Apache-2.0
// Whom a role believes: the keys that its operator names, and the gate that stands on them.
#pragma once

#include <artcache/backends.hpp>
#include <artcache/result.hpp>
#include <filesystem>

#include "auth/guard.hpp"
#include "auth/key_watch.hpp"
#include "auth/keys.hpp"
#include "auth/verifier.hpp"
#include "common/operations.hpp"
#include "config/settings.hpp"

namespace artcache {

/// For roles that sign nothing themselves, which are all but the admin. Reads the settings
/// `public_key` and `rate_limit`. Keys that are changed in their place are noticed by themselves,
/// on a thread of its own: where the file system of the keys hangs, neither requests nor signals,
/// start and end of the process do. Safe to use from any thread.
class Trust {
 public:
  /// Errors: invalid_argument (no key is named: nobody could sign a token that counts).
  static Result<void> check(const config::Settings& told);
  Trust(const config::Settings& told, const Deps& deps, auth::Wording wording = {});

  /// Lives as long as this does.
  auth::Gate& gate() { return gate_; }
  /// For Role::start(): the admin of this process may have made its keys just now. What is wrong
  /// with them is in the log, and in health() while there is none.
  void start();
  /// For Role::reload(). Errors: those of auth::read_key_files(), timed_out (they hang).
  Result<void> reload();
  [[nodiscard]] HealthPart health() const;

 private:
  [[nodiscard]] Error late() const;

  const Deps deps_;
  const std::filesystem::path place_;
  auth::KeyRing ring_;
  auth::KeyFiles files_;
  auth::KeyWatch watch_;
  auth::Verifier verifier_;
  auth::Gate gate_;
};

}  // namespace artcache
