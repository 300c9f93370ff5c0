// SPDX-License-Identifier: Apache-2.0
// What the admin does to files at their storage elements, with tokens that it mints for itself.
#pragma once

#include <artcache/backends.hpp>
#include <artcache/call.hpp>
#include <artcache/clock.hpp>
#include <artcache/result.hpp>
#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "roles/admin/signing.hpp"
#include "util/mutex.hpp"
#include "web/http_client.hpp"

namespace artcache::admin {

/// One request to a storage element: an answer of any status, whole. Errors: unavailable,
/// timed_out, cancelled, corrupt.
using Send = std::function<Result<web::HttpReply>(const web::HttpRequest& request, const Call&)>;

/// Whom the tokens name that the admin shows to elements.
inline constexpr std::string_view kRegistryClient = "sa_admin_registry";

/// Safe to use from any thread.
class ElementFiles {
 public:
  /// The reference outlives the object.
  ElementFiles(const Signing& signing, Send send, const Deps& deps)
      : signing_(signing), send_(std::move(send)), deps_(deps) {}

  /// With which the admin speaks to elements; good for some minutes. An element may be anybody's
  /// whose account is an operator's: it is given nothing that its operator could not have asked for
  /// (OPERATOR), which is what it takes to be believed that an index was put back.
  /// Errors: as Signing::mint().
  Result<std::string> token();
  /// An element did not believe this one: it is not given again.
  void reject(std::string_view token);

  /// PATCH with `json`; an answer of any status is a success. Errors: those of Send, unsupported
  /// (there is no way to send). After an error the file may be changed or not.
  Result<web::HttpReply> change(const std::string& element, const std::string& file,
                                std::string json, const Call& call);
  /// The file is not there afterwards, whatever the mode of the element, and whether it was or not.
  /// Errors: as change(); also conflict (the element does not want to remove this file).
  Result<void> remove(const std::string& element, const std::string& file, std::string_view reason,
                      const Call& call);

 private:
  Result<web::HttpReply> send(web::HttpRequest request, const Call& call);

  const Signing& signing_;
  const Send send_;
  const Deps deps_;
  util::Mutex mutex_;
  std::string token_ ARTCACHE_GUARDED_BY(mutex_);
  Clock::SteadyTime renew_at_ ARTCACHE_GUARDED_BY(mutex_);
};

}  // namespace artcache::admin
