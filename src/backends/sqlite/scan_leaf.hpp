// SPDX-License-Identifier: Apache-2.0
// The scan table keeps up to kLeafMost files of one folder in one row: comparing a folder with its
// listing reads one row instead of fifty, and a rebuild writes fifty times fewer.
#pragma once

#include <artcache/metadata_store.hpp>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sql/sql.hpp"

namespace artcache::sqlite {

inline constexpr std::size_t kLeafMost = 128;

/// A path taken apart at its last slash, which stays with the folder.
struct SplitPath {
  std::string_view folder, name;
};
SplitPath split_path(std::string_view path);

/// A leaf has two bytes for the length of a name. Errors: invalid_argument.
Result<void> check_name(std::string_view path);

/// Files of one folder, by name. ScannedFile::path holds the name alone.
class ScanLeaf {
 public:
  /// The buffers of files that are `used` up serve again. Errors: corrupt.
  static Result<ScanLeaf> parse(sql::Bytes bytes, std::vector<ScannedFile> used = {});
  [[nodiscard]] std::string packed() const;

  [[nodiscard]] const std::vector<ScannedFile>& files() const { return files_; }
  [[nodiscard]] std::vector<ScannedFile> take() && { return std::move(files_); }
  [[nodiscard]] const ScannedFile* find(std::string_view name) const;
  /// The file that stood under that name before, if any.
  std::optional<ScannedFile> put(std::string_view name, const ScannedFile& file);
  std::optional<ScannedFile> remove(std::string_view name);

  [[nodiscard]] bool too_full() const { return files_.size() > kLeafMost; }
  /// Gives the upper half away.
  ScanLeaf split();

 private:
  std::vector<ScannedFile> files_;
};

}  // namespace artcache::sqlite
