// SPDX-License-Identifier: Apache-2.0
#include "backends/file/notices.hpp"

#include <dirent.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include <unistd.h>
#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <map>
#include <stop_token>
#include <unordered_map>
#include <utility>

#include "backends/file/names.hpp"
#include "util/path_set.hpp"
#include "util/try.hpp"

namespace artcache::file {
namespace {

// A file made by link() is created and never written, so creation counts, too.
constexpr std::uint32_t kEvents = IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO |
                                  IN_DELETE | IN_ATTRIB | IN_ONLYDIR | IN_EXCL_UNLINK;
constexpr int kReadFolder = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK;
constexpr std::size_t kBufferSize = std::size_t{64} * 1024;
// Who writes as fast as this reads may not keep a batch, or the end of a call, waiting.
constexpr int kBuffersAtOnce = 16;
// An open folder that is removed tells nobody: the root is looked at so often.
constexpr std::chrono::milliseconds kRootLook{500};

std::string joined(std::string_view folder, std::string_view name) {
  std::string path(folder);
  if (!path.empty()) path.push_back('/');
  return path.append(name);
}

struct Watched {
  std::string path;
  std::vector<std::string> hidden;
};

class FolderNotices final : public ChangeNotices {
 public:
  FolderNotices(const Root& root, const std::vector<std::string>& hidden, const WatchLimits& limits,
                const Clock& clock)
      : root_(root), clock_(clock), hidden_(hidden, root.path()), pending_(limits.paths_most) {}

  /// Watches everything anew. What was known of watches before is forgotten.
  Result<void> start(const Call& call);
  Result<ChangeBatch> wait(const Call& call) override;

 private:
  ChangeBatch take();
  void notices_lost(std::string folder);
  Result<void> sleep(const Call& call, int woken) const;
  /// What has been told by now, kBuffersAtOnce of it at most.
  Result<void> read_events(const Call& call);
  Result<void> event(const inotify_event& event, std::string_view name, const Call& call);
  Result<void> folder_event(std::uint32_t what, const std::string& path, const Call& call);
  void lost(std::unordered_map<int, Watched>::iterator watched);
  Result<void> watch_below(std::string top, const Call& call);
  Result<void> watch_one(const std::string& path, std::vector<std::string>& below);
  void read_folder(int fd, const Watched& folder, std::vector<std::string>& below) const;
  void drop_below(const std::string& top);
  [[nodiscard]] Error limit_reached() const;

  const Root& root_;
  const Clock& clock_;
  const HiddenFiles hidden_;
  util::PathSet pending_;  // what has changed and nobody has asked for yet
  bool overflowed_ = false;
  util::Fd inotify_;
  std::unordered_map<int, Watched> watched_;
  std::map<std::string, int> by_path_;
};

Result<void> FolderNotices::start(const Call& call) {
  watched_.clear();
  by_path_.clear();
  inotify_ = util::Fd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!inotify_) return errno_error(errno, "watch", root_.path());
  return watch_below("", call);
}

Result<ChangeBatch> FolderNotices::wait(const Call& call) {
  const util::Fd woken(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!woken) return errno_error(errno, "watch", root_.path());
  const std::stop_callback wake(call.stop, [&] {
    const std::uint64_t one = 1;
    (void)!::write(woken.get(), &one, sizeof one);
  });
  for (;;) {
    ARTCACHE_CHECK(call.check("file: watch", clock_));
    struct stat found {};
    if (::fstat(root_.fd(), &found) != 0 || found.st_nlink == 0)
      return own_error(Errc::not_found, "watch", root_.path(), "the folder has been removed");
    ARTCACHE_CHECK(read_events(call));
    if (!pending_.empty()) return take();
    ARTCACHE_CHECK(sleep(call, woken.get()));
  }
}

ChangeBatch FolderNotices::take() {
  util::PathSet::Taken taken = pending_.take();
  return {.sidecars = std::move(taken.files),
          .folders = std::move(taken.folders),
          .overflowed = std::exchange(overflowed_, false)};
}

void FolderNotices::notices_lost(std::string folder) {
  overflowed_ = true;
  pending_.add_folder(std::move(folder));
}

Result<void> FolderNotices::sleep(const Call& call, int woken) const {
  std::array<pollfd, 2> fds{{{inotify_.get(), POLLIN, 0}, {woken, POLLIN, 0}}};
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(
      std::min<std::chrono::nanoseconds>(call.remaining(clock_), kRootLook));
  if (::poll(fds.data(), fds.size(), static_cast<int>(left.count())) < 0 && errno != EINTR)
    return errno_error(errno, "watch", root_.path());
  return {};
}

Result<void> FolderNotices::read_events(const Call& call) {
  alignas(inotify_event) std::array<char, kBufferSize> buffer;
  for (int buffers = 0; buffers < kBuffersAtOnce; ++buffers) {
    const auto got =
        util::retried([&] { return ::read(inotify_.get(), buffer.data(), buffer.size()); });
    if (got < 0 && errno == EAGAIN) return {};
    if (got < 0) return errno_error(errno, "watch", root_.path());
    for (std::size_t at = 0; at < static_cast<std::size_t>(got);) {
      inotify_event head{};
      std::memcpy(&head, buffer.data() + at, sizeof head);
      const char* const name = buffer.data() + at + sizeof head;
      if ((head.mask & IN_Q_OVERFLOW) != 0) {
        // Folders may have come, gone and moved unseen. The rest of the buffer is of old watches.
        notices_lost("");
        return start(call);
      }
      ARTCACHE_CHECK(event(head, head.len == 0 ? std::string_view() : name, call));
      at += sizeof head + head.len;
    }
  }
  return {};
}

Result<void> FolderNotices::event(const inotify_event& event, std::string_view name,
                                  const Call& call) {
  const auto found = watched_.find(event.wd);
  if (found == watched_.end()) return {};  // of a watch that was given up
  if ((event.mask & IN_UNMOUNT) != 0) {
    // Another folder stands there now. What went before may not have been told.
    const std::string path = found->second.path;
    drop_below(path);
    notices_lost(path);
    return watch_below(path, call);
  }
  if ((event.mask & IN_IGNORED) != 0) {
    lost(found);
    return {};
  }
  const Watched& folder = found->second;
  if (name.empty() || is_own_path(name) || HiddenFiles::covers(folder.hidden, name) ||
      name_defect(folder.path.size(), name) != nullptr)
    return {};
  if ((event.mask & IN_ISDIR) != 0)
    return folder_event(event.mask, joined(folder.path, name), call);
  if (is_sidecar_path(name)) pending_.add_file(joined(folder.path, name));
  return {};
}

Result<void> FolderNotices::folder_event(std::uint32_t what, const std::string& path,
                                         const Call& call) {
  if ((what & (IN_MOVED_FROM | IN_DELETE)) != 0) {
    drop_below(path);
    pending_.add_folder(path);
  } else if ((what & (IN_CREATE | IN_MOVED_TO)) != 0 || !by_path_.contains(path)) {
    // Watched before it is named: what comes later is told of, what is there will be listed.
    drop_below(path);
    ARTCACHE_CHECK(watch_below(path, call));
    pending_.add_folder(path);
  }
  return {};
}

void FolderNotices::lost(std::unordered_map<int, Watched>::iterator watched) {
  pending_.add_folder(watched->second.path);
  by_path_.erase(watched->second.path);
  watched_.erase(watched);
}

Result<void> FolderNotices::watch_below(std::string top, const Call& call) {
  std::vector<std::string> below{std::move(top)};
  while (!below.empty()) {
    ARTCACHE_CHECK(call.check("file: watch", clock_));
    const std::string path = std::move(below.back());
    below.pop_back();
    ARTCACHE_CHECK(watch_one(path, below));
  }
  return {};
}

Result<void> FolderNotices::watch_one(const std::string& path, std::vector<std::string>& below) {
  util::Fd folder;
  if (const Errno code = root_.open_below(path, kReadFolder, folder)) {
    if (path.empty()) return errno_error(code, "watch", root_.path());
    if (code == EMFILE || code == ENFILE) return errno_error(code, "watch", path);
    return {};  // gone again, a link, or not for us: a listing tells
  }
  // By its number, since a path could lead elsewhere by now.
  const std::string link = "/proc/self/fd/" + std::to_string(folder.get());
  const int watch = ::inotify_add_watch(inotify_.get(), link.c_str(), kEvents);
  if (watch < 0) return errno == ENOSPC ? limit_reached() : errno_error(errno, "watch", path);
  Watched& watched = watched_[watch];
  // A folder keeps its watch when it moves: it must not be given up with its old path.
  if (const auto old = by_path_.find(watched.path); old != by_path_.end() && old->second == watch)
    by_path_.erase(old);
  watched = {path, hidden_.names_in(folder.get(), path)};
  by_path_[path] = watch;
  read_folder(folder.get(), watched, below);
  return {};
}

void FolderNotices::read_folder(int fd, const Watched& folder,
                                std::vector<std::string>& below) const {
  const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return;
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::fdopendir(copy), &::closedir);
  if (entries == nullptr) {
    ::close(copy);
    return;
  }
  while (const dirent* const entry = ::readdir(entries.get())) {
    const std::string_view name(entry->d_name);
    if (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN) continue;
    if (name == "." || name == ".." || is_own_path(name)) continue;
    if (name_defect(folder.path.size(), name) != nullptr) continue;
    if (HiddenFiles::covers(folder.hidden, name)) continue;
    struct stat found {};
    if (entry->d_type == DT_UNKNOWN &&
        (::fstatat(fd, entry->d_name, &found, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(found.st_mode)))
      continue;
    below.push_back(joined(folder.path, name));
  }
}

void FolderNotices::drop_below(const std::string& top) {
  const auto drop = [&](std::map<std::string, int>::iterator each) {
    ::inotify_rm_watch(inotify_.get(), each->second);
    watched_.erase(each->second);
    return by_path_.erase(each);
  };
  if (const auto self = by_path_.find(top); self != by_path_.end()) drop(self);
  const std::string prefix = top + "/";
  for (auto each = by_path_.lower_bound(prefix);
       each != by_path_.end() && each->first.starts_with(prefix);)
    each = drop(each);
}

Error FolderNotices::limit_reached() const {
  return own_error(Errc::no_space, "watch", root_.path(),
                   "the system allows no more watches after " + std::to_string(watched_.size()) +
                       " folders, and every folder needs one: raise fs.inotify.max_user_watches");
}

}  // namespace

Result<std::unique_ptr<ChangeNotices>> watch_folders(const Root& root,
                                                     const std::vector<std::string>& hidden,
                                                     const WatchLimits& limits, const Clock& clock,
                                                     const Call& call) {
  auto notices = std::make_unique<FolderNotices>(root, hidden, limits, clock);
  ARTCACHE_CHECK(notices->start(call));
  return std::unique_ptr<ChangeNotices>(std::move(notices));
}

}  // namespace artcache::file
