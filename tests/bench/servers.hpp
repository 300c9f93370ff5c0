// SPDX-License-Identifier: Apache-2.0
// Real servers for the time of a measurement, on loopback, with nothing in them.
#pragma once

#include <string>

namespace artcache::bench {

class Servers {
 public:
  /// Starts one of those that tests/services knows.
  explicit Servers(std::string name);
  ~Servers();
  Servers(const Servers&) = delete;
  Servers& operator=(const Servers&) = delete;

  /// False when this machine cannot run it; the reason has been printed.
  [[nodiscard]] bool running() const { return running_; }
  /// A variable that tests get, such as ARTCACHE_TEST_POSTGRES.
  [[nodiscard]] std::string value(const std::string& variable) const;

 private:
  const std::string name_;
  std::string folder_;
  bool running_ = false;
};

}  // namespace artcache::bench
