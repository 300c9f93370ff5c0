// SPDX-License-Identifier: Apache-2.0
#include "backends/file/byte_reader.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "backends/file/stamp.hpp"
#include "util/try.hpp"

namespace artcache::file {
namespace {

// Between two of these the deadline is looked at.
constexpr std::size_t kPieceMost = std::size_t{1} << 20;

class FileReader final : public ByteReader {
 public:
  FileReader(util::Fd file, std::string path, FileInfo info, ByteRange range, const Clock& clock)
      : file_(std::move(file)),
        path_(std::move(path)),
        info_(info),
        at_(range.offset),
        end_(range.offset + std::min(range.length, info.stamp.size - range.offset)),
        clock_(clock) {}

  [[nodiscard]] const FileInfo& info() const override { return info_; }

  Result<std::size_t> read(std::span<std::byte> buffer, const Call& call) override {
    std::size_t filled = 0;
    while (filled < buffer.size() && at_ < end_) {
      ARTCACHE_CHECK(call.check("file: read '" + path_ + "'", clock_));
      const std::size_t piece = static_cast<std::size_t>(
          std::min<std::uint64_t>({buffer.size() - filled, end_ - at_, kPieceMost}));
      const auto got = util::retried([&] {
        return ::pread(file_.get(), buffer.data() + filled, piece, static_cast<off_t>(at_));
      });
      if (got < 0) return errno_error(errno, "read", path_);
      if (got == 0) return ended_early();
      filled += static_cast<std::size_t>(got);
      at_ += static_cast<std::uint64_t>(got);
    }
    return filled;
  }

 private:
  [[nodiscard]] Error ended_early() const {
    return own_error(Errc::corrupt, "read", path_,
                     "ends at byte " + std::to_string(at_) + ", had " +
                         std::to_string(info_.stamp.size) + " bytes when it was opened");
  }

  util::Fd file_;
  std::string path_;
  FileInfo info_;
  std::uint64_t at_;
  std::uint64_t end_;
  const Clock& clock_;
};

}  // namespace

Result<std::unique_ptr<ByteReader>> open_reader(const Root& root, std::string_view path,
                                                ByteRange range, const Clock& clock) {
  util::Fd file;
  // Without O_NONBLOCK a named pipe would wait here for its writer.
  const Errno code = root.open_below(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, file);
  if (code != 0) return errno_error(code == ENOTDIR ? ENOENT : code, "open", path);
  struct stat found {};
  if (::fstat(file.get(), &found) != 0) return errno_error(errno, "stat", path);
  // A key space has no folders to open, and this is the same contract.
  if (S_ISDIR(found.st_mode)) return own_error(Errc::not_found, "open", path, "is a folder");
  if (!S_ISREG(found.st_mode)) return not_regular(found.st_mode, "open", path);
  const FileInfo info = info_of(found);
  if (range.offset > info.stamp.size)
    return own_error(Errc::invalid_argument, "open", path,
                     "the range begins at " + std::to_string(range.offset) +
                         ", beyond the end at " + std::to_string(info.stamp.size));
  // Advice only: whether it is taken changes no result.
  (void)::posix_fadvise(file.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
  return std::unique_ptr<ByteReader>(
      new FileReader(std::move(file), std::string(path), info, range, clock));
}

}  // namespace artcache::file
