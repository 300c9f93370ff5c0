// SPDX-License-Identifier: Apache-2.0
#include "backends/file/names.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <system_error>

namespace artcache::file {
namespace {

/// What follows the name of an index in SQLite in those of the files beside it.
constexpr std::array<std::string_view, 4> kBesideAnIndex{"-wal", "-shm", "-journal", "-peers"};

/// "-owners" or "-PREFIX_owners": one file may hold several indexes.
bool is_of_owners(std::string_view rest) {
  constexpr std::string_view kOwners = "_owners";
  if (rest == "-owners") return true;
  if (!rest.starts_with('-') || !rest.ends_with(kOwners)) return false;
  return std::ranges::all_of(rest.substr(1, rest.size() - 1 - kOwners.size()), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

}  // namespace

HiddenFiles::HiddenFiles(const std::vector<std::string>& absolute_paths, std::string_view root) {
  for (const std::string& path : absolute_paths) {
    add(path, root);
    // The path may be a link to a file in the storage: what it stands for is hidden too.
    std::error_code failed;
    const std::string real = std::filesystem::weakly_canonical(path, failed).string();
    if (!failed && real != path) add(real, root);
  }
}

void HiddenFiles::add(const std::string& path, std::string_view root) {
  const std::filesystem::path plain = std::filesystem::path(path).lexically_normal();
  File file;
  file.name = plain.filename().string();
  if (file.name.empty()) return;
  const std::string folder = plain.parent_path().string();
  struct stat found {};
  if (::stat(folder.c_str(), &found) == 0) {
    file.by_inode = true;
    file.device = found.st_dev;
    file.inode = found.st_ino;
  } else if (folder.starts_with(root)) {
    file.folder = folder.substr(std::min(folder.size(), root.size() + 1));
  } else {
    return;
  }
  files_.push_back(std::move(file));
}

std::vector<std::string> HiddenFiles::names_in(int fd, std::string_view path) const {
  std::vector<std::string> names;
  struct stat found {};
  if (files_.empty() || ::fstat(fd, &found) != 0) return names;
  for (const File& file : files_) {
    const bool here = file.by_inode ? file.device == found.st_dev && file.inode == found.st_ino
                                    : file.folder == path;
    if (here) names.push_back(file.name);
  }
  return names;
}

bool HiddenFiles::covers(const std::vector<std::string>& names, std::string_view name) {
  return std::ranges::any_of(names, [&](const std::string& hidden) {
    if (!name.starts_with(hidden)) return false;
    const std::string_view rest = name.substr(hidden.size());
    return rest.empty() || std::ranges::find(kBesideAnIndex, rest) != kBesideAnIndex.end() ||
           is_of_owners(rest);
  });
}

}  // namespace artcache::file
