// SPDX-License-Identifier: Apache-2.0
// The admin: who may do what, with tokens to show for it, and which storage elements there are.
#pragma once

#include <memory>
#include <stop_token>
#include <string_view>
#include <thread>
#include <vector>

#include "roles/admin/parts.hpp"
#include "roles/role.hpp"
#include "util/mutex.hpp"

namespace artcache::admin {

class Admin final : public Role {
 public:
  /// Makes tables, the first key and the initial accounts where they are missing. `fetch` asks
  /// storage elements what they are; without it those that register themselves are known.
  /// Errors: invalid_argument, and those of the database.
  static Result<std::unique_ptr<Admin>> open(Options options, const Deps& deps, Fetch fetch,
                                             const Call& call);
  ~Admin() override;
  Admin(const Admin&) = delete;
  Admin& operator=(const Admin&) = delete;

  http::Site& site() override { return site_; }
  Result<void> start() override;
  void stop() override;
  Result<void> reload() override;
  std::vector<HealthPart> health(const Call& call) override;

  /// For parts of this process that verify without files.
  [[nodiscard]] const auth::KeyRing& keys() const { return parts_.ring; }

 private:
  Admin(Options options, const Deps& deps, Fetch fetch);
  Result<void> add_routes();
  void tend(std::stop_token stop);
  Result<void> trim(const Call& call);
  void report(std::string_view what, const Result<void>& done);

  http::Site site_;
  Parts parts_;
  util::Mutex mutex_;
  util::CondVar wake_;
  std::jthread tender_;
};

}  // namespace artcache::admin
