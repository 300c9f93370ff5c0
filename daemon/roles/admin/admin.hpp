// SPDX-License-Identifier: Apache-2.0
// The admin: who may do what, with tokens to show for it, and which storage elements there are.
#pragma once

#include <memory>
#include <stop_token>
#include <string_view>
#include <thread>
#include <vector>

#include "roles/admin/cleaner.hpp"
#include "roles/admin/parts.hpp"
#include "roles/admin/registry.hpp"
#include "roles/role.hpp"
#include "util/mutex.hpp"

namespace artcache::admin {

class Admin final : public Role {
 public:
  /// Makes tables, the first key and the initial accounts where they are missing.
  /// Errors: invalid_argument, and those of the database.
  static Result<std::unique_ptr<Admin>> open(Options options, const Deps& deps, Outside outside,
                                             const Call& call);
  ~Admin() override;
  Admin(const Admin&) = delete;
  Admin& operator=(const Admin&) = delete;

  http::Site& site() override { return site_; }
  Result<void> start() override;
  void leave() override;
  void stop() override;
  Result<void> reload() override;
  std::vector<HealthPart> health(const Call& call) override;

  /// For parts of this process that verify without files.
  [[nodiscard]] const auth::KeyRing& keys() const { return parts_.ring; }
  /// For tests, which have no threads: what start() does again and again.
  Result<void> follow_once(const Call& call) { return follow_elements(parts_, call); }
  Result<void> clean_once(const Call& call) { return cleaner_.pass(call); }
  [[nodiscard]] replica::Fleet* fleet() const { return parts_.fleet.get(); }

 private:
  Admin(Options options, const Deps& deps);
  void open_registry(Outside outside);
  Result<void> add_routes();
  void tend(std::stop_token stop);
  Result<void> measure(const Call& call);
  void show_database(bool answers);
  Result<void> trim(const Call& call);
  void report(std::string_view what, const Result<void>& done);

  http::Site site_;
  Parts parts_;
  Cleaner cleaner_{parts_};
  util::Mutex mutex_;
  util::CondVar wake_;
  std::jthread tender_;
};

}  // namespace artcache::admin
