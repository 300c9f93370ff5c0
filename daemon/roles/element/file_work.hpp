// SPDX-License-Identifier: Apache-2.0
// What was done with files, in numbers under the names of the original.
#pragma once

#include <artcache/clock.hpp>
#include <cstdint>
#include <string>

#include "roles/element/element.hpp"

namespace artcache::element {

/// One upload, download or removal. Counts itself when it ends: as an error unless succeed() was
/// called. For one thread at a time.
class FileWork {
 public:
  enum class Kind : std::uint8_t { upload, download, removal };
  FileWork(const Element& element, ElementMode mode, Kind kind);
  ~FileWork();
  FileWork(const FileWork&) = delete;
  FileWork& operator=(const FileWork&) = delete;

  void add_bytes(std::uint64_t bytes) { bytes_ += bytes; }
  void succeed() { succeeded_ = true; }

 private:
  const Deps deps_;
  const std::string element_;
  const ElementMode mode_;
  const Kind kind_;
  const Clock::SteadyTime begun_;
  std::uint64_t bytes_ = 0;
  bool succeeded_ = false;
};

}  // namespace artcache::element
