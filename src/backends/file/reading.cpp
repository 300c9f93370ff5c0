// SPDX-License-Identifier: Apache-2.0
#include "backends/file/reading.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "backends/file/names.hpp"
#include "backends/file/stamp.hpp"
#include "util/try.hpp"
#include "util/workers.hpp"

namespace artcache::file {
namespace {

constexpr std::size_t kFilesPerThread = 32;  // fewer are not worth one more thread
constexpr std::size_t kRunLeast = 8;
constexpr std::size_t kRunMost = 256;
constexpr std::size_t kBufferFirst = std::size_t{16} * 1024;
constexpr int kReadFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW;

// Some C libraries make a look-up of an empty path of fstat(), a tenth of the whole reading.
long quick_fstat(int fd, struct stat& found) { return ::syscall(SYS_fstat, fd, &found); }

struct Job {
  const Root& root;
  const std::span<const std::string_view> paths;
  const std::uint64_t size_most;
  const SidecarSink& sink;
  const Pool& pool;
  const Call& call;
};

/// Who reads what, and how it ends. Safe to call from any thread.
class Turns {
 public:
  Turns(std::size_t files, unsigned threads) : files_(files), threads_(threads) {}

  /// The next run of indices: long ones first, short ones so that all threads end together.
  bool claim(std::size_t& begin, std::size_t& end) {
    begin = next_.load(std::memory_order_relaxed);
    do {
      if (begin >= files_) return false;
      const std::size_t left = files_ - begin;
      end = begin + std::min(left, std::clamp(left / (2 * threads_), kRunLeast, kRunMost));
    } while (!next_.compare_exchange_weak(begin, end, std::memory_order_relaxed));
    return true;
  }

  void stop(Error error) {
    const std::scoped_lock guard(mutex_);
    if (!error_) error_ = std::move(error);
    stop();
  }
  /// For an exception that is on its way.
  void stop() {
    next_ = files_;
    stopped_ = true;
  }
  [[nodiscard]] bool stopped() const { return stopped_.load(std::memory_order_relaxed); }

  /// Once all threads have ended.
  Result<void> outcome() && {
    const std::scoped_lock guard(mutex_);
    if (error_) return std::move(*error_);
    return {};
  }

 private:
  const std::size_t files_;
  const std::size_t threads_;
  std::atomic<std::size_t> next_{0};
  std::atomic<bool> stopped_{false};
  std::mutex mutex_;
  std::optional<Error> error_;  // guarded by mutex_
};

/// One thread.
class Reader {
 public:
  Reader(const Job& job, Turns& turns) : job_(job), turns_(turns) {}

  Result<void> run() {
    std::size_t begin = 0, end = 0;
    while (turns_.claim(begin, end)) {
      for (std::size_t i = begin; i < end; ++i) {
        if (turns_.stopped()) return {};
        ARTCACHE_CHECK(job_.call.check("file: read", *job_.pool.clock));
        ARTCACHE_CHECK(job_.sink(i, read(job_.paths[i])));
      }
    }
    return {};
  }

 private:
  Result<SidecarBytes> read(std::string_view path) {
    const SplitPath parts = split(path);
    ARTCACHE_CHECK(enter(path, parts));
    util::Fd file;
    if (const Errno code = open_file(parts.name, file)) return errno_error(code, "open", path);
    struct stat found {};
    // Before reading: a stamp may be older than the bytes, never newer.
    if (quick_fstat(file.get(), found) != 0) return errno_error(errno, "stat", path);
    if (!S_ISREG(found.st_mode)) return not_regular(found.st_mode, "read", path);
    FileInfo info = info_of(found);
    if (info.stamp.size > job_.size_most) return too_large(path);
    if (is_young(found)) info.stamp.mark.fill(0);
    return read_whole(file.get(), path, info);
  }

  // Makes the folder of `path` the one that is open, and the name fit to be opened in it.
  Result<void> enter(std::string_view path, const SplitPath& parts) {
    const bool same = entered_ && parts.folder == folder_path_;
    // Most paths share their folder with the one before: only the name is new then.
    const bool plain = same && !parts.name.empty() && parts.name != "." && parts.name != ".." &&
                       parts.name.size() <= kNameMost &&
                       parts.name.find('\0') == std::string_view::npos &&
                       name_defect(parts.folder.size(), parts.name) == nullptr;
    if (plain) return {};
    ARTCACHE_CHECK(check_storage_path(path));
    if (parts.name.size() > kNameMost) return errno_error(ENAMETOOLONG, "open", path);
    if (same) return {};
    entered_ = false;
    if (const Errno code = job_.root.open_below(parts.folder, kFolderFlags, folder_))
      return errno_error(code == ENOTDIR ? ENOENT : code, "open", path);
    folder_path_ = parts.folder;
    entered_ = true;
    return {};
  }

  Errno open_file(std::string_view name, util::Fd& out) {
    std::array<char, kNameMost + 1> text;  // NOLINT: filled right here
    std::memcpy(text.data(), name.data(), name.size());
    text[name.size()] = '\0';
    const auto attempt = [&](int flags) {
      out = util::Fd(util::retried([&] { return ::openat(folder_.get(), text.data(), flags); }));
      return out ? 0 : errno;
    };
    if (quiet_) {
      const Errno code = attempt(kReadFlags | O_NOATIME);
      if (code != EPERM) return code;
      quiet_ = false;  // files of somebody else: only their owner may read without a trace
    }
    return attempt(kReadFlags);
  }

  Result<SidecarBytes> read_whole(int file, std::string_view path, const FileInfo& info) {
    std::size_t size = 0;
    reserve(static_cast<std::size_t>(info.stamp.size) + 1, 0);
    for (;;) {
      // One byte more than there should be: less than asked for means the end, without asking.
      if (size == capacity_) reserve(2 * capacity_, size);
      const std::size_t asked = capacity_ - size;
      const auto got = util::retried([&] { return ::read(file, buffer_.get() + size, asked); });
      if (got < 0) return errno_error(errno, "read", path);
      size += static_cast<std::size_t>(got);
      if (size > job_.size_most) return too_large(path);
      if (got == 0 || (size == info.stamp.size && static_cast<std::size_t>(got) < asked)) break;
    }
    SidecarBytes out{{buffer_.get(), size}, info.stamp, info.modified};
    // Somebody writes into the file right now: whatever was read vouches for nothing.
    if (size != info.stamp.size) out.stamp.mark.fill(0);
    return out;
  }

  void reserve(std::size_t capacity, std::size_t keep) {
    if (capacity <= capacity_) return;
    capacity = std::max(capacity, kBufferFirst);
    std::unique_ptr<char[]> bigger(new char[capacity]);
    if (keep != 0) std::memcpy(bigger.get(), buffer_.get(), keep);
    buffer_ = std::move(bigger);
    capacity_ = capacity;
  }

  [[nodiscard]] Error too_large(std::string_view path) const {
    return own_error(Errc::invalid_argument, "read", path,
                     "is larger than " + std::to_string(job_.size_most) + " bytes");
  }

  const Job& job_;
  Turns& turns_;
  bool entered_ = false;
  bool quiet_ = true;
  util::Fd folder_;
  std::string folder_path_;
  std::unique_ptr<char[]> buffer_;
  std::size_t capacity_ = 0;
};

}  // namespace

Result<void> read_many(const Root& root, std::span<const std::string_view> paths,
                       std::uint64_t size_most, const SidecarSink& sink, const Pool& pool,
                       const Call& call) {
  ARTCACHE_CHECK(call.check("file: read", *pool.clock));
  const Job job{root, paths, size_most, sink, pool, call};
  // Whoever reads much reads two lots at a time. More threads than processors would only come and
  // go, and each that goes interrupts the others: stacks are taken back from under all of them.
  const std::size_t threads_most = std::max(1U, pool.threads / 2);
  const auto threads = static_cast<unsigned>(
      std::clamp<std::size_t>(paths.size() / kFilesPerThread, 1, threads_most));
  Turns turns(paths.size(), threads);
  util::run_workers(threads, [&] {
    try {
      Reader reader(job, turns);
      if (auto result = reader.run(); !result) turns.stop(std::move(result).error());
    } catch (...) {
      turns.stop();
      throw;
    }
  });
  return std::move(turns).outcome();
}

}  // namespace artcache::file
