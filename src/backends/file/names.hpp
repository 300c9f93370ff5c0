// SPDX-License-Identifier: Apache-2.0
// Which entries of a folder are part of the storage.
#pragma once

#include <sys/types.h>

#include <artcache/storage_backend.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "util/utf8.hpp"

namespace artcache::file {

inline constexpr std::size_t kNameMost = 255;   // NAME_MAX of Linux
inline constexpr std::size_t kPathMost = 1024;  // as check_storage_path() has it

/// What is wrong with an entry called `name` in a folder whose path has `folder_size` bytes;
/// nullptr when its path is one that check_storage_path() takes.
inline const char* name_defect(std::size_t folder_size, std::string_view name) {
  if (util::utf8_valid_prefix(name) != name.size()) return "its name is not UTF-8";
  if (folder_size + 1 + name.size() > kPathMost) return "its path is longer than 1024 bytes";
  return nullptr;
}

/// The files that hide() was told of, made ready for one listing.
class HiddenFiles {
 public:
  /// `absolute_paths` as they were given; `root` the path of the storage.
  HiddenFiles(const std::vector<std::string>& absolute_paths, std::string_view root);

  [[nodiscard]] bool empty() const { return files_.empty(); }
  /// The names that are hidden in the folder open as `fd`, called `path` below the root.
  [[nodiscard]] std::vector<std::string> names_in(int fd, std::string_view path) const;
  /// True for one of `names` and for what an index puts beside itself.
  static bool covers(const std::vector<std::string>& names, std::string_view name);

 private:
  struct File {
    std::string name;
    std::string folder;     // below the root; only where the folder is not there yet
    bool by_inode = false;  // the folder is told by its numbers: it may have many paths
    dev_t device = 0;
    ino_t inode = 0;
  };
  void add(const std::string& path, std::string_view root);
  std::vector<File> files_;
};

}  // namespace artcache::file
