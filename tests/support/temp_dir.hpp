// SPDX-License-Identifier: Apache-2.0
// A folder for one test, gone when the test ends.
#pragma once

#include <string>
#include <string_view>

namespace artcache::test {

class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string operator/(std::string_view name) const {
    return path_ + "/" + std::string(name);
  }

 private:
  std::string path_;
};

}  // namespace artcache::test
