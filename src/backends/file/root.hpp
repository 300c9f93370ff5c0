// SPDX-License-Identifier: Apache-2.0
// The folder that a storage is: everything below it is opened here, and nothing above it ever.
#pragma once

#include <fcntl.h>

#include <artcache/result.hpp>
#include <string>
#include <string_view>

#include "backends/file/errors.hpp"
#include "util/fd.hpp"

namespace artcache::file {

/// How a path is kept below the root.
enum class Resolve {
  best,        ///< openat2 where the kernel and the sandbox have it, else components
  components,  ///< one openat with O_NOFOLLOW for each part
};

/// What to do about a root that is not there.
enum class MissingRoot { fails, made };

class Root {
 public:
  /// `path` is absolute; links in it are followed, it is the operator's.
  /// Errors: not_found, invalid_argument (no folder), unavailable.
  static Result<Root> open(const std::string& path, MissingRoot missing, Resolve resolve);

  /// Opens what check_storage_path() passed, or the root itself for "". No part of the path is
  /// followed as a link: that is ELOOP. `flags` without O_CREAT.
  Errno open_below(std::string_view path, int flags, util::Fd& out) const;

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  Root(util::Fd fd, std::string path, Resolve resolve);
  Errno open_by_parts(std::string_view path, int flags, util::Fd& out) const;
  util::Fd fd_;
  std::string path_;
  Resolve resolve_;
};

/// Opens the entry `name` (one part, no slash) of a folder; a link is ELOOP whatever the flags.
Errno open_entry(int folder, const char* name, int flags, util::Fd& out);

/// The folder of a path, "" for the root, and the name in it.
struct SplitPath {
  std::string_view folder, name;
};
SplitPath split(std::string_view path);

/// How a folder is opened that is only a stepping stone.
inline constexpr int kFolderFlags = O_PATH | O_DIRECTORY | O_CLOEXEC;

}  // namespace artcache::file
