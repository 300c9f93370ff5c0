// SPDX-License-Identifier: Apache-2.0
// metadata and download
#include <algorithm>
#include <artcache/storage_name.hpp>
#include <mutex>

#include "core/files/service.hpp"
#include "util/hash.hpp"
#include "util/try.hpp"

namespace artcache {

using namespace files;

namespace {

Error not_there(const FileId& id) {
  return Error{Errc::not_found, "files: file " + to_string(id) + " not found"};
}

class OpenDownload final : public Download {
 public:
  OpenDownload(IndexedEntry row, std::string path, std::unique_ptr<ByteReader> reader,
               std::uint64_t size, Verify verify)
      : row_(std::move(row)), path_(std::move(path)), reader_(std::move(reader)), size_(size) {
    if (verify == Verify::yes) sum_.emplace();
  }

  const IndexedEntry& row() const override { return row_; }
  std::uint64_t size() const override { return size_; }
  Result<std::size_t> read(std::span<std::byte> buffer, const Call& call) override {
    if (buffer.empty()) return std::size_t{0};
    ARTCACHE_TRY(const std::size_t bytes, reader_->read(buffer, call));
    if (!sum_) return bytes;
    sum_->update(buffer.first(bytes));
    read_ += bytes;
    // The last piece goes out when all of it is known to be right: who has it all has what it was.
    if (bytes > 0 && read_ < size_) return bytes;
    if (!matches_) matches_ = sum_->finish() == row_.entry.checksum.bytes;
    if (*matches_) return bytes;
    return Error{Errc::corrupt, "download: '" + path_ + "': its bytes have not the checksum " +
                                    to_string(row_.entry.checksum)};
  }

 private:
  const IndexedEntry row_;
  const std::string path_;
  const std::unique_ptr<ByteReader> reader_;
  const std::uint64_t size_;
  std::optional<util::Sha256> sum_;
  std::optional<bool> matches_;
  std::uint64_t read_ = 0;
};

}  // namespace

// --- metadata -----------------------------------------------------------------------------------

Result<IndexedEntry> FileService::Impl::metadata(const FileId& id, const Call& call) {
  ARTCACHE_TRY(auto row, find_or_follow(id, call));
  if (!row) return not_there(id);
  offer_refresh(id, *row);
  return std::move(*row);
}

Result<std::optional<IndexedEntry>> FileService::Impl::indexed(const FileId& id, const Call& call) {
  ARTCACHE_TRY(auto row, index().find(id, call));
  if (row) offer_refresh(id, *row);
  return row;
}

void FileService::Impl::offer_refresh(const FileId& id, const IndexedEntry& row) {
  if (settings_.refresh && row.freshness.expired(place_.now())) (void)settings_.refresh(id);
}

/// Nothing when there is no such file for sure. Errors: unavailable when nobody can tell.
Result<std::optional<IndexedEntry>> FileService::Impl::find_or_follow(const FileId& id,
                                                                      const Call& call) {
  ARTCACHE_TRY(auto row, index().find(id, call));
  if (row) return row;
  ARTCACHE_TRY(const std::string path, path_in_storage(id, call));
  if (!path.empty()) {
    ARTCACHE_TRY(const SidecarSeen seen, follow(place_, id, path, 0, call));
    ARTCACHE_TRY(row, index().find(id, call));
    if (row) return row;
    if (seen == SidecarSeen::unreadable)
      return Error{Errc::corrupt, "files: '" + path + "' cannot be read"};
  }
  if (id.minted_at()) return row;
  ARTCACHE_TRY(const IndexHead head, index().head(call));
  if (head.suspect_reason.empty()) return row;
  return Error{Errc::unavailable, "files: the index does not know " + to_string(id) +
                                      " and may be wrong: " + head.suspect_reason};
}

/// Where the sidecar of a version 7 id stands, whose folder follows from it; empty if nowhere.
Result<std::string> FileService::Impl::path_in_storage(const FileId& id, const Call& call) {
  const auto minted = id.minted_at();
  if (!minted || *minted > Timestamp::max()) return std::string();
  const std::string text = "_" + to_string(id);
  std::mutex mutex;
  std::string found;
  const auto look = [&](const ListBatch& batch) -> Result<void> {
    for (const ListedFile& file : batch.files) {
      if (file.path.rfind(text) == std::string_view::npos) continue;
      const std::scoped_lock held(mutex);
      found = file.path;
    }
    return {};
  };
  std::string folder = storage_folder(*minted);
  folder.pop_back();  // its slash
  const auto listed = storage().list({.folder = std::move(folder)}, look, call);
  if (!listed && listed.error().code != Errc::not_found) return listed.error();
  return found;
}

Result<IndexedEntry> FileService::Impl::now_in_index(const FileId& id, const Call& call) {
  ARTCACHE_TRY(auto row, index().find(id, call));
  if (!row) return not_there(id);
  return std::move(*row);
}

Result<FileService::Impl::Located> FileService::Impl::locate(const FileId& id, const Call& call) {
  ARTCACHE_TRY(auto row, find_or_follow(id, call));
  if (!row) return not_there(id);
  ARTCACHE_TRY(auto briefs, index().briefs({&id, 1}, call));
  if (!briefs.front()) return not_there(id);
  return Located{std::move(*row), std::move(briefs.front()->sidecar_path)};
}

// --- download -----------------------------------------------------------------------------------

Result<std::unique_ptr<Download>> FileService::Impl::download(const FileId& id,
                                                              const DownloadRequest& request,
                                                              const Call& call) {
  ARTCACHE_TRY(Located file, locate(id, call));
  const std::uint64_t whole = file.row.entry.file_size;
  const ByteRange& range = request.range;
  if (range.offset > whole || (range.offset == whole && whole > 0))
    return Error{Errc::invalid_argument,
                 "download: the range begins behind the end; the file has " +
                     std::to_string(whole) + " bytes"};
  const std::uint64_t size = std::min(range.length, whole - range.offset);
  if (request.verify == Verify::yes && size != whole)
    return Error{Errc::invalid_argument, "download: only a whole file can be verified"};
  const std::string path(data_path_of(file.sidecar));
  auto reader = storage().open(path, range, call);
  if (!reader && reader.error().code == Errc::not_found)
    return Error{Errc::not_found, "download: the data of file " + to_string(id) + " is missing"};
  if (!reader) return std::move(reader).error();
  const std::uint64_t stands = (*reader)->info().stamp.size;
  if (stands != whole)
    return Error{Errc::corrupt, "download: '" + path + "' has " + std::to_string(stands) +
                                    " bytes, its sidecar says " + std::to_string(whole)};
  if (settings_.refresh && file.row.freshness.expired(place_.now())) (void)settings_.refresh(id);
  return std::unique_ptr<Download>(std::make_unique<OpenDownload>(
      std::move(file.row), path, std::move(*reader), size, request.verify));
}

}  // namespace artcache
