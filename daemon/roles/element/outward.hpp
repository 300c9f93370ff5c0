// SPDX-License-Identifier: Apache-2.0
// What an element does for others beside the requests: it is announced, its changes are published.
#pragma once

#include <artcache/backends.hpp>
#include <artcache/event_publisher.hpp>
#include <artcache/result.hpp>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/operations.hpp"
#include "common/service_token.hpp"
#include "config/settings.hpp"
#include "roles/element/announcer.hpp"
#include "roles/element/element.hpp"

namespace artcache::element {

/// Made, started and stopped by one thread. None of the places it writes to has to be there.
class Outward {
 public:
  /// `element` must outlive it. With an account it stands in the admin's registry. Errors:
  /// invalid_argument (the address of Redis), unsupported (this build has no Redis).
  static Result<std::unique_ptr<Outward>> make(Element& element, const config::Settings& told,
                                               std::optional<ServiceAccount> account,
                                               const Deps& deps);

  /// `endpoint` is where the element is reached.
  void start(const std::string& endpoint);
  /// Takes back what was announced. Once more is nothing.
  void withdraw();
  /// That, and keeps how far the events have come. Once more is nothing.
  void stop();
  /// The state of each place; none of them makes the element unready.
  void append_health(std::vector<HealthPart>& parts) const;

 private:
  Outward() = default;

  std::unique_ptr<Announcer> announcer_;
  std::unique_ptr<EventOutlet> outlet_;
  std::unique_ptr<EventPublisher> publisher_;  ///< none without an outlet
  std::jthread publishing_;
};

}  // namespace artcache::element
