// SPDX-License-Identifier: Apache-2.0
#include "backends/file/staged_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <limits>
#include <span>
#include <string>
#include <utility>

#include "backends/file/names.hpp"
#include "backends/file/stamp.hpp"
#include "backends/file/temporary.hpp"
#include "util/try.hpp"

namespace artcache::file {
namespace {

constexpr std::size_t kPieceMost = std::size_t{1} << 20;         // per write()
constexpr std::uint64_t kReserveLeast = std::uint64_t{1} << 20;  // smaller files fit or do not

Error unknown_outcome(Error error) {
  error.outcome = Outcome::unknown;
  return error;
}

class TemporaryFile final : public StagedFile {
 public:
  TemporaryFile(Folders& folders, const PutRequest& request, const Clock& clock)
      : folders_(folders), request_(request), name_(split(request_.path).name), clock_(clock) {}

  ~TemporaryFile() override {
    if (!temporary_.empty()) (void)::unlinkat(folder_.get(), temporary_.c_str(), 0);
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  Result<void> create();
  Result<void> append(std::span<const std::byte> bytes, const Call& call) override;
  Result<Stamp> commit(const Call& call) override;

 private:
  [[nodiscard]] Error failed(Errno code, std::string_view operation) const {
    return errno_error(code, operation, request_.path);
  }
  [[nodiscard]] Error refused(std::string_view cause, Errc code = Errc::invalid_argument) const {
    return own_error(code, "put", request_.path, cause);
  }
  Result<void> check_target() const;
  Result<void> reserve() const;
  Result<void> check_written();
  void date_back() const;
  [[nodiscard]] bool is_as_written(const struct stat& found) const;
  Errno publish();
  Errno publish_exclusively();

  Folders& folders_;
  const PutRequest request_;
  const std::string name_;
  const Clock& clock_;
  util::Fd folder_, file_;
  std::string temporary_;  // empty once it is gone, or has become the file
  std::uint64_t written_ = 0;
  timespec written_at_{};  // as the file system has it
  bool finished_ = false;  // committed, or failed for good
};

Result<void> TemporaryFile::create() {
  if (name_.size() > kNameMost) return failed(ENAMETOOLONG, "put");
  ARTCACHE_TRY(folder_, folders_.open_or_make(split(request_.path).folder));
  ARTCACHE_CHECK(check_target());
  Temporary made;
  if (const Errno code = make_temporary(folder_.get(), name_, made))
    return failed(code, "create a temporary file for");
  file_ = std::move(made.file);
  temporary_ = std::move(made.name);
  return reserve();
}

// Refusing early saves writing the bytes; what counts is decided by the rename.
Result<void> TemporaryFile::check_target() const {
  struct stat found {};
  if (::fstatat(folder_.get(), name_.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0) return {};
  if (request_.mode == PutMode::must_not_exist) return refused("exists already", Errc::conflict);
  if (S_ISDIR(found.st_mode)) return refused("is a folder");
  return {};
}

Result<void> TemporaryFile::reserve() const {
  if (!request_.size || *request_.size < kReserveLeast) return {};
  const auto size = static_cast<off_t>(
      std::min<std::uint64_t>(*request_.size, std::numeric_limits<off_t>::max()));
  if (::fallocate(file_.get(), FALLOC_FL_KEEP_SIZE, 0, size) == 0) return {};
  // Not every file system can; full is full on all of them.
  if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG) return failed(errno, "reserve");
  return {};
}

Result<void> TemporaryFile::append(std::span<const std::byte> bytes, const Call& call) {
  if (finished_) return refused("append after the end");
  if (request_.size && bytes.size() > *request_.size - written_) {
    finished_ = true;
    return refused("more bytes came than were announced");
  }
  while (!bytes.empty()) {
    if (auto checked = call.check("file: put '" + request_.path + "'", clock_); !checked) {
      finished_ = true;
      return checked;
    }
    const auto wrote = util::retried(
        [&] { return ::write(file_.get(), bytes.data(), std::min(bytes.size(), kPieceMost)); });
    if (wrote <= 0) {
      finished_ = true;
      return failed(wrote < 0 ? errno : EIO, "write");
    }
    written_ += static_cast<std::uint64_t>(wrote);
    bytes = bytes.subspan(static_cast<std::size_t>(wrote));
  }
  return {};
}

Result<Stamp> TemporaryFile::commit(const Call& call) {
  if (finished_) return refused("commit after the end");
  finished_ = true;
  ARTCACHE_CHECK(call.check("file: put '" + request_.path + "'", clock_));
  ARTCACHE_CHECK(check_written());
  date_back();
  if (const Errno code = folders_.sync(file_.get())) return failed(code, "sync");
  if (const Errno code = publish()) {
    if (code == EEXIST) return refused("exists already", Errc::conflict);
    return failed(code, "rename a temporary file to");
  }
  // From here on the file is visible. Without this sync a power cut may still undo that.
  if (const Errno code = folders_.sync(folder_.get()))
    return unknown_outcome(failed(code, "sync the folder of"));
  // Only now: renaming moved ctime. Somebody may have written to the file since then. A stamp that
  // cannot be had is one that matches nothing.
  struct stat found {};
  if (::fstat(file_.get(), &found) != 0 || !is_as_written(found)) return Stamp{written_, {}};
  return info_of(found).stamp;
}

// The last look before the old file is given up for this one.
Result<void> TemporaryFile::check_written() {
  if (request_.size && written_ != *request_.size)
    return refused("only " + std::to_string(written_) + " of " + std::to_string(*request_.size) +
                   " announced bytes came");
  struct stat found {};
  if (::fstat(file_.get(), &found) != 0) return failed(errno, "stat");
  if (static_cast<std::uint64_t>(found.st_size) != written_)
    return refused("the file system kept " + std::to_string(found.st_size) + " of " +
                       std::to_string(written_) + " bytes",
                   Errc::unavailable);
  written_at_ = found.st_mtim;
  return {};
}

// By a nanosecond. The times of a file move in steps of some milliseconds, so what others write
// into it as soon as they see it could leave the very stamp of what was put; but never an earlier
// time than now. Where this cannot be done, is_as_written() shows it.
void TemporaryFile::date_back() const {
  timespec before = written_at_;
  if (before.tv_nsec-- == 0) {
    before.tv_nsec = 999'999'999;
    --before.tv_sec;
  }
  const timespec times[2] = {{0, UTIME_OMIT}, before};
  (void)::futimens(file_.get(), times);
}

bool TemporaryFile::is_as_written(const struct stat& found) const {
  const auto at = [](const timespec& time) { return std::pair(time.tv_sec, time.tv_nsec); };
  return static_cast<std::uint64_t>(found.st_size) == written_ &&
         at(found.st_mtim) < at(written_at_);
}

Errno TemporaryFile::publish() {
  if (request_.mode == PutMode::must_not_exist) return publish_exclusively();
  const int done = util::retried(
      [&] { return ::renameat(folder_.get(), temporary_.c_str(), folder_.get(), name_.c_str()); });
  if (done != 0) return errno;
  temporary_.clear();
  return 0;
}

Errno TemporaryFile::publish_exclusively() {
  const int folder = folder_.get();
  if (::renameat2(folder, temporary_.c_str(), folder, name_.c_str(), RENAME_NOREPLACE) == 0) {
    temporary_.clear();
    return 0;
  }
  if (errno != EINVAL && errno != ENOSYS) return errno;
  // A file system without that flag: link() does not replace either. The other name goes at once:
  // that it goes moves ctime, which must not happen after the stamp was taken.
  if (::linkat(folder, temporary_.c_str(), folder, name_.c_str(), 0) != 0) return errno;
  (void)::unlinkat(folder, temporary_.c_str(), 0);
  temporary_.clear();
  return 0;
}

}  // namespace

Result<std::unique_ptr<StagedFile>> stage_file(Folders& folders, const PutRequest& request,
                                               const Clock& clock) {
  auto file = std::make_unique<TemporaryFile>(folders, request, clock);
  ARTCACHE_CHECK(file->create());
  return std::unique_ptr<StagedFile>(std::move(file));
}

}  // namespace artcache::file
