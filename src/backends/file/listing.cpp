// SPDX-License-Identifier: Apache-2.0
#include "backends/file/listing.hpp"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <utility>

#include "backends/file/batch.hpp"
#include "backends/file/exchange.hpp"
#include "backends/file/names.hpp"
#include "backends/file/stamp.hpp"
#include "util/try.hpp"
#include "util/workers.hpp"

namespace artcache::file {
namespace {

constexpr std::size_t kEntriesSize = std::size_t{32} * 1024;
constexpr std::size_t kSpareBuffersMost = 4;
constexpr std::size_t kOpenLevelsMost = 16;  // open folders of one thread, one below the other
constexpr int kListFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK;

struct Job {
  const Root& root;
  const ListRequest& request;
  const HiddenFiles& hidden;
  const Pool& pool;
  const Call& call;
  Exchange& exchange;
};

/// One folder on the way down. Entries, and then the subfolders that had to wait.
struct Level {
  FolderPtr folder;
  Entries entries;
  bool read_on = true;             // more entries may follow those at hand
  std::vector<std::string> later;  // subfolders met when enough levels were open
};

std::string joined(std::string_view folder, std::string_view name) {
  std::string path;
  path.reserve(folder.size() + 1 + name.size());
  path.append(folder);
  if (!folder.empty()) path.push_back('/');
  return path.append(name);
}

/// One thread of a listing. Functions that fail end the listing with their error.
class Walker {
 public:
  Walker(Job& job, const ListSink& sink) : job_(job), batch_(sink) {}

  Result<void> run() {
    while (auto task = job_.exchange.take()) {
      ARTCACHE_CHECK(begin(std::move(*task)));
      while (!levels_.empty() && !job_.exchange.stopped()) ARTCACHE_CHECK(step());
      job_.exchange.done();
    }
    return job_.exchange.stopped() ? Result<void>() : batch_.flush();
  }

 private:
  Result<void> begin(Task task) {
    if (!task.name.empty()) return descend(task.folder, task.name.c_str());
    const bool whole_folder = task.entries.bytes == nullptr;
    levels_.push_back({std::move(task.folder), std::move(task.entries), whole_folder, {}});
    return {};
  }

  Result<void> step() {
    Level& level = levels_.back();
    if (level.entries.at < level.entries.size) return entry(level);
    if (level.read_on) return read_more(level);
    if (!level.later.empty()) return descend_later(level);
    give_back(std::move(level.entries.bytes));
    levels_.pop_back();
    return batch_.end_folder();
  }

  Result<void> read_more(Level& level) {
    ARTCACHE_CHECK(job_.call.check("file: list", *job_.pool.clock));
    if (level.entries.bytes == nullptr) level.entries.bytes = take_buffer();
    const long got = util::retried([&] {
      return ::syscall(SYS_getdents64, level.folder->fd.get(), level.entries.bytes.get(),
                       kEntriesSize);
    });
    level.entries.at = 0;
    level.entries.size = got > 0 ? static_cast<std::size_t>(got) : 0;
    if (got <= 0) level.read_on = false;
    if (got < 0) return failed_folder(level.folder->path, errno);
    // A full buffer: the folder is big, so let others look at this part of it. Subfolders in it
    // are theirs too.
    if (level.entries.size > kEntriesSize / 2 && job_.exchange.wants_more()) {
      Task task{level.folder, {}, std::move(level.entries)};
      level.entries = {};
      if (!job_.exchange.offer(task)) level.entries = std::move(task.entries);
    }
    return {};
  }

  Result<void> entry(Level& level) {
    const char* const record = level.entries.bytes.get() + level.entries.at;
    // Field by field: the last record is shorter than the struct.
    std::uint16_t length = 0;
    std::memcpy(&length, record + offsetof(dirent64, d_reclen), sizeof length);
    level.entries.at += length;
    const auto type = static_cast<unsigned char>(record[offsetof(dirent64, d_type)]);
    const char* const text = record + offsetof(dirent64, d_name);
    const std::string_view name(text);
    if (name.front() == '.' && (name == "." || name == ".." || is_own_path(name))) return {};
    // What can be skipped without a system call, first.
    if (type == DT_REG && !wanted(name)) return {};
    if (HiddenFiles::covers(level.folder->hidden, name)) return {};
    if (type != DT_DIR && type != DT_REG && type != DT_UNKNOWN)
      return other(*level.folder, name, static_cast<unsigned>(DTTOIF(type)));
    if (const char* defect = name_defect(level.folder->path.size(), name))
      return problem(
          *level.folder, name,
          own_error(Errc::unsupported, "list", joined(level.folder->path, name), defect));
    if (type == DT_DIR) return subfolder(level, text);
    if (type == DT_REG && job_.request.stamps == ListStamps::not_needed)
      return batch_.add(level.folder->path, name, {});
    return file(level, text);
  }

  [[nodiscard]] bool wanted(std::string_view name) const {
    return job_.request.what == ListWhat::all || is_sidecar_path(name);
  }

  Result<void> file(Level& level, const char* name) {
    const Folder& folder = *level.folder;
    struct stat found {};
    if (::fstatat(folder.fd.get(), name, &found, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) != 0)
      return problem(folder, name, errno_error(errno, "list", joined(folder.path, name)));
    if (S_ISDIR(found.st_mode)) return subfolder(level, name);
    if (!S_ISREG(found.st_mode)) return other(folder, name, found.st_mode);
    return wanted(name) ? batch_.add(folder.path, name, info_of(found)) : Result<void>();
  }

  // A link may lead to a folder with files that were asked for: always told of.
  Result<void> other(const Folder& folder, std::string_view name, unsigned mode) {
    if (!S_ISLNK(mode) && !wanted(name)) return {};
    return problem(folder, name, not_regular(mode, "list", joined(folder.path, name)));
  }

  Result<void> subfolder(Level& level, const char* name) {
    if (job_.exchange.wants_more()) {
      Task task{level.folder, name, {}};
      if (job_.exchange.offer(task)) return {};
    }
    if (levels_.size() >= kOpenLevelsMost) {
      level.later.emplace_back(name);
      return {};
    }
    // Neither the record nor the level is looked at again: levels_ may move.
    return descend(FolderPtr(level.folder), name);
  }

  // The folder has been read: it is closed now, so that open folders do not grow with the depth.
  Result<void> descend_later(Level& level) {
    const std::string name = std::move(level.later.back());
    level.later.pop_back();
    give_back(std::move(level.entries.bytes));
    level.entries = {};
    if (level.folder->fd) {
      auto closed = std::make_shared<Folder>();
      closed->path = level.folder->path;
      level.folder = std::move(closed);
    }
    return descend(FolderPtr(level.folder), name.c_str());
  }

  Result<void> descend(const FolderPtr& parent, const char* name) {
    auto folder = std::make_shared<Folder>();
    folder->path = joined(parent->path, name);
    const Errno code = parent->fd ? open_entry(parent->fd.get(), name, kListFlags, folder->fd)
                                  : job_.root.open_below(folder->path, kListFlags, folder->fd);
    if (code != 0) return failed_folder(folder->path, code);
    if (!job_.hidden.empty()) folder->hidden = job_.hidden.names_in(folder->fd.get(), folder->path);
    levels_.push_back({std::move(folder), {}, true, {}});
    return {};
  }

  // Below the folder asked for it is a problem; of that folder itself it is the answer.
  Result<void> failed_folder(const std::string& path, Errno code) {
    Error error = errno_error(code == ENOTDIR ? ENOENT : code, "list", path);
    if (path == job_.request.folder) return error;
    return batch_.add_problem(printable(path), std::move(error));
  }

  Result<void> problem(const Folder& folder, std::string_view name, Error error) {
    return batch_.add_problem(printable(joined(folder.path, name)), std::move(error));
  }

  std::unique_ptr<char[]> take_buffer() {
    if (spare_.empty()) return std::unique_ptr<char[]>(new char[kEntriesSize]);
    auto buffer = std::move(spare_.back());
    spare_.pop_back();
    return buffer;
  }

  void give_back(std::unique_ptr<char[]> buffer) {
    if (buffer != nullptr && spare_.size() < kSpareBuffersMost) spare_.push_back(std::move(buffer));
  }

  Job& job_;
  Batch batch_;
  std::vector<Level> levels_;
  std::vector<std::unique_ptr<char[]>> spare_;
};

Result<FolderPtr> open_top(const Root& root, const std::string& path, const HiddenFiles& hidden) {
  auto folder = std::make_shared<Folder>();
  folder->path = path;
  if (const Errno code = root.open_below(path, kListFlags, folder->fd))
    return errno_error(code == ENOTDIR ? ENOENT : code, "list", path);
  folder->hidden = hidden.names_in(folder->fd.get(), path);
  return FolderPtr(std::move(folder));
}

}  // namespace

Result<void> list_folder(const Root& root, const ListRequest& request,
                         const std::vector<std::string>& hidden_paths, const ListSink& sink,
                         const Pool& pool, const Call& call) {
  const HiddenFiles hidden(hidden_paths, root.path());
  ARTCACHE_CHECK(call.check("file: list", *pool.clock));
  ARTCACHE_TRY(auto top, open_top(root, request.folder, hidden));
  Exchange exchange(std::size_t{2} * pool.threads, Task{std::move(top), {}, {}});
  Job job{root, request, hidden, pool, call, exchange};
  util::run_workers(pool.threads, [&] {
    try {
      Walker walker(job, sink);
      if (auto result = walker.run(); !result) exchange.stop(std::move(result).error());
    } catch (...) {
      exchange.stop();
      throw;
    }
  });
  return std::move(exchange).outcome();
}

}  // namespace artcache::file
