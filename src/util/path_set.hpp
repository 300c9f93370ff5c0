// SPDX-License-Identifier: Apache-2.0
// Files and folders that something is to be done about, in bounded memory.
#pragma once

#include <algorithm>
#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "util/path.hpp"

namespace artcache::util {

/// Each is in it once. Beyond the limit files become their folders, and too many of these "".
class PathSet {
 public:
  explicit PathSet(std::size_t most) : most_(std::max<std::size_t>(most, 1)) {}

  void add_file(std::string path) {
    files_.insert(std::move(path));
    if (files_.size() <= most_) return;
    for (const std::string& file : files_) add_folder(std::string(folder_of(file)));
    files_.clear();
  }
  void add_folder(std::string path) {
    if (folders_.contains("")) return;
    folders_.insert(std::move(path));
    if (folders_.size() > most_ || folders_.contains("")) folders_ = {""};
  }

  /// One of the folders is it, or it lies below one.
  [[nodiscard]] bool covers(std::string_view folder) const {
    for (;; folder = folder_of(folder)) {
      if (folders_.contains(folder)) return true;
      if (folder.empty()) return false;
    }
  }
  [[nodiscard]] bool empty() const { return files_.empty() && folders_.empty(); }
  [[nodiscard]] std::size_t size() const { return files_.size() + folders_.size(); }

  /// All of it, in order, without what lies below one of the folders.
  struct Taken {
    std::vector<std::string> files, folders;
  };
  Taken take() {
    Taken taken;
    for (const std::string& path : folders_)
      if (path.empty() || !covers(folder_of(path))) taken.folders.push_back(path);
    for (const std::string& path : files_)
      if (!covers(folder_of(path))) taken.files.push_back(path);
    files_.clear();
    folders_.clear();
    return taken;
  }

 private:
  const std::size_t most_;
  std::set<std::string, std::less<>> files_, folders_;
};

}  // namespace artcache::util
