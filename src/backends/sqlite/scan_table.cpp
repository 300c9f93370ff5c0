// SPDX-License-Identifier: Apache-2.0
// ScanWriter: files of the scan table, a leaf at a time; and reading them.
#include "backends/sqlite/edit.hpp"
#include "backends/sqlite/scan_leaf.hpp"
#include "util/try.hpp"

namespace artcache::sqlite {

struct ScanWriter::Leaf {
  std::string folder, low;
  std::optional<std::string> next_low;  ///< where the next leaf of the folder begins
  std::int64_t row = 0;                 ///< 0: not stored yet
  ScanLeaf files;
  bool changed = false;

  [[nodiscard]] bool covers(std::string_view f, std::string_view name) const {
    return folder == f && name >= low && (!next_low || name < *next_low);
  }
};

Result<void> ScanWriter::open(std::string_view folder, std::string_view name) {
  if (leaf_ != nullptr && leaf_->covers(folder, name)) return {};
  ARTCACHE_CHECK(flush());
  auto leaf = std::make_shared<Leaf>();
  leaf->folder = folder;
  ARTCACHE_TRY(sql::Statement * at,
               tables_.statement(statements_.find,
                                 "SELECT row, low, files FROM {p}scan_{g} WHERE folder = ? "
                                 "AND low <= ? ORDER BY low DESC LIMIT 1"));
  at->bind(0, folder).bind(1, name);
  ARTCACHE_TRY(const bool found, at->step());
  if (found) {
    leaf->row = at->integer(0);
    leaf->low = at->text(1);
    ARTCACHE_TRY(leaf->files, ScanLeaf::parse(at->blob(2)));
    at->reset();
    ARTCACHE_TRY(sql::Statement * next,
                 tables_.statement(statements_.next,
                                   "SELECT low FROM {p}scan_{g} WHERE folder = ? AND low > ? "
                                   "ORDER BY low LIMIT 1"));
    next->bind(0, folder).bind(1, std::string_view(leaf->low));
    ARTCACHE_TRY(const bool more, next->step());
    if (more) leaf->next_low = next->text(0);
    next->reset();
  }
  leaf_ = std::move(leaf);
  return {};
}

Result<void> ScanWriter::store(std::string_view low, const std::string& packed, std::int64_t row) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(packed.data());
  if (row == 0) {
    ARTCACHE_TRY(sql::Statement * s,
                 tables_.statement(statements_.insert,
                                   "INSERT INTO {p}scan_{g}(folder, low, files) VALUES(?, ?, ?)"));
    s->bind(0, std::string_view(leaf_->folder)).bind(1, low);
    s->bind(2, sql::Bytes(bytes, packed.size()));
    ARTCACHE_CHECK(s->run());
    return {};
  }
  ARTCACHE_TRY(
      sql::Statement * s,
      tables_.statement(statements_.update, "UPDATE {p}scan_{g} SET files = ? WHERE row = ?"));
  s->bind(0, sql::Bytes(bytes, packed.size())).bind(1, row);
  ARTCACHE_CHECK(s->run());
  return {};
}

Result<void> ScanWriter::flush() {
  if (leaf_ == nullptr || !leaf_->changed) return {};
  Leaf& leaf = *leaf_;
  if (leaf.files.files().empty() && leaf.row != 0 && leaf.low.empty() && !leaf.next_low) {
    // The last file of a folder is gone: its only leaf goes with it.
    ARTCACHE_TRY(sql::Statement * s,
                 tables_.statement(statements_.remove, "DELETE FROM {p}scan_{g} WHERE row = ?"));
    s->bind(0, leaf.row);
    ARTCACHE_CHECK(s->run());
    leaf_.reset();
    return {};
  }
  while (leaf.files.too_full()) {
    // The upper part becomes a leaf of its own, itself split until it is small enough.
    ScanLeaf upper = leaf.files.split();
    while (upper.too_full()) {
      const ScanLeaf last = upper.split();
      ARTCACHE_CHECK(store(last.files().front().path, last.packed(), 0));
    }
    ARTCACHE_CHECK(store(upper.files().front().path, upper.packed(), 0));
    leaf.next_low = upper.files().front().path;
  }
  ARTCACHE_CHECK(store(leaf.low, leaf.files.packed(), leaf.row));
  leaf_.reset();
  return {};
}

Result<void> ScanWriter::put(const ScannedFile& file) {
  const SplitPath path = split_path(file.path);
  ARTCACHE_CHECK(open(path.folder, path.name));
  leaf_->files.put(path.name, file);
  leaf_->changed = true;
  // A leaf does not grow without end while its folder is being filled.
  return leaf_->files.files().size() >= 2 * kLeafMost ? flush() : Result<void>();
}

Result<void> ScanWriter::remove(std::string_view full) {
  const SplitPath path = split_path(full);
  ARTCACHE_CHECK(open(path.folder, path.name));
  if (leaf_->files.remove(path.name)) leaf_->changed = true;
  return {};
}

Result<std::optional<ScannedFile>> ScanWriter::find(std::string_view full) {
  const SplitPath path = split_path(full);
  ARTCACHE_CHECK(open(path.folder, path.name));
  const ScannedFile* file = leaf_->files.find(path.name);
  if (file == nullptr) return std::optional<ScannedFile>();
  ScannedFile out = *file;
  out.path = full;
  return std::optional(std::move(out));
}

namespace {

/// Reads leaves, keeping the last one: paths usually come folder by folder.
class LeafReader {
 public:
  explicit LeafReader(sql::Statement& statement) : statement_(statement) {}

  Result<std::optional<ScannedFile>> find(std::string_view full) {
    const SplitPath path = split_path(full);
    if (!covers(path)) ARTCACHE_CHECK(read(path));
    const ScannedFile* file = leaf_.find(path.name);
    if (file == nullptr) return std::optional<ScannedFile>();
    return std::optional(ScannedFile{.path = std::string(full),
                                     .stamp = file->stamp,
                                     .id = file->id,
                                     .hash = file->hash,
                                     .updated_at = file->updated_at,
                                     .text_hash = file->text_hash});
  }

 private:
  /// Beyond its last file a leaf may have a neighbour, so only what lies inside is sure.
  [[nodiscard]] bool covers(const SplitPath& path) const {
    return !leaf_.files().empty() && folder_ == path.folder && path.name >= low_ &&
           path.name <= leaf_.files().back().path;
  }
  Result<void> read(const SplitPath& path) {
    folder_ = path.folder;
    std::vector<ScannedFile> used = std::move(leaf_).take();
    leaf_ = {};
    statement_.bind(0, path.folder).bind(1, path.name);
    ARTCACHE_TRY(const bool found, statement_.step());
    if (!found) return {};
    low_ = statement_.text(0);
    ARTCACHE_TRY(leaf_, ScanLeaf::parse(statement_.blob(1), std::move(used)));
    statement_.reset();
    return {};
  }

  sql::Statement& statement_;
  std::string folder_, low_;
  ScanLeaf leaf_;
};

constexpr std::string_view kLeafText =
    "SELECT low, files FROM {p}scan_{g} WHERE folder = ? AND low <= ? ORDER BY low DESC LIMIT 1";

}  // namespace

Result<std::vector<std::optional<ScannedFile>>> find_scanned(
    sql::Connection& connection, const Names& names, std::uint64_t generation,
    std::span<const std::string_view> paths) {
  ARTCACHE_TRY(sql::Statement * s, connection.prepare(names.text(kLeafText, generation)));
  LeafReader leaves(*s);
  std::vector<std::optional<ScannedFile>> files;
  files.reserve(paths.size());
  for (const std::string_view path : paths) {
    ARTCACHE_TRY(auto file, leaves.find(path));
    files.push_back(std::move(file));
  }
  return files;
}

}  // namespace artcache::sqlite
