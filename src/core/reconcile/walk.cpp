// SPDX-License-Identifier: Apache-2.0
#include "core/reconcile/walk.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <stop_token>
#include <thread>
#include <utility>

#include "core/attr/prepare.hpp"
#include "core/attr/sidecar.hpp"
#include "core/reconcile/bounded_queue.hpp"
#include "core/reconcile/session.hpp"
#include "util/background.hpp"
#include "util/try.hpp"

namespace artcache::reconcile {
namespace {

constexpr std::size_t kPathsMost = 8192;  // waiting to be read
/// Read, and waiting to be taken: enough to go on reading while the taker waits for the disk.
constexpr std::size_t kChunksMost = 4;
/// A storage ends a chunk with fewer threads than it began it with: then the next one fills in.
constexpr std::size_t kReaders = 2;
constexpr std::chrono::milliseconds kPatience{20};
constexpr std::chrono::milliseconds kTick{200};

/// The first error ends all stages.
class Ending {
 public:
  explicit Ending(const Call& call)
      : forward_(call.stop, [this] { stop_.request_stop(); }), call_(call) {
    call_.stop = stop_.get_token();
  }
  [[nodiscard]] const Call& call() const { return call_; }

  /// What is under way may still come to its end.
  void note(Error error) {
    const util::MutexLock lock(mutex_);
    if (!error_) error_ = std::move(error);
  }
  [[nodiscard]] bool is_noted() {
    const util::MutexLock lock(mutex_);
    return error_.has_value();
  }
  void fail(Error error) {
    note(std::move(error));
    stop_.request_stop();
  }
  Result<void> outcome() {
    const util::MutexLock lock(mutex_);
    if (error_) return *error_;
    return {};
  }

 private:
  std::stop_source stop_;
  std::stop_callback<std::function<void()>> forward_;
  Call call_;
  util::Mutex mutex_;
  std::optional<Error> error_ ARTCACHE_GUARDED_BY(mutex_);
};

/// The three stages of one walk.
class Walk {
 public:
  Walk(const WalkPlan& plan, WalkTaker& taker, const Call& call)
      : plan_(plan), taker_(taker), ending_(call), call_(call) {}

  Result<void> run() {
    {
      std::jthread lister;
      std::array<std::jthread, kReaders> readers;
      stage([&] {
        lister = feeder([this] { list(); });
        for (std::jthread& reader : readers) reader = feeder([this] { read(); });
        take();
      });
      // Whoever still waits for room must not wait for ever.
      abandon();
    }
    // A stop from outside shows as such, not as the first thing that it broke.
    ARTCACHE_CHECK(call_.check("walk", *plan_.clock));
    return ending_.outcome();
  }

 private:
  /// Memory may run out on any thread, and what the caller gave may throw; that ends the walk, not
  /// the process, and nobody goes on waiting.
  template <class F>
  void stage(F&& work) {
    try {
      work();
    } catch (const std::exception& e) {
      end(e.what());
    } catch (...) {
      end("something was thrown that is no std::exception");
    }
  }
  void end(const char* cause) {
    ending_.fail({Errc::internal, std::string("walk: ") + cause});
    abandon();
  }
  /// The taker is what the others wait for in the end: they step back behind it.
  template <class F>
  std::jthread feeder(F work) {
    return std::jthread([this, work] {
      util::step_back();
      stage(work);
    });
  }
  void abandon() {
    paths_.abandon();
    chunks_.abandon();
  }

  void list() {
    const auto listed = plan_.storage.list(
        plan_.list, [this](const ListBatch& batch) { return listed_batch(batch); }, ending_.call());
    // Where the readers have given up there is no room for its names: that ends it, and what they
    // are at is to be taken still.
    if (!listed && !ending_.is_noted()) ending_.fail(listed.error());
    paths_.end();
  }

  Result<void> listed_batch(const ListBatch& batch) {
    ARTCACHE_CHECK(problems(batch.problems));
    if (plan_.list.what == ListWhat::sidecars) return sidecars(batch.files);
    std::vector<ListedFile> sidecar_files, others;
    for (const ListedFile& file : batch.files)
      (is_sidecar_path(file.path) ? sidecar_files : others).push_back(file);
    if (!others.empty()) taker_.other_files(others);
    return sidecars(sidecar_files);
  }

  /// What has the name of a sidecar and cannot be read, a link or a pipe, is a broken one: its
  /// entry is not without a sidecar. Anything else may hide what nobody knows of.
  Result<void> problems(std::span<const ListProblem> problems) {
    std::vector<ListedFile> broken;
    std::vector<const Error*> errors;
    for (const ListProblem& problem : problems) {
      if (problem.error.code != Errc::unsupported || !is_sidecar_path(problem.path)) {
        taker_.not_seen(problem);
        continue;
      }
      broken.push_back({.path = problem.path, .stamp = {}, .modified = {}});
      errors.push_back(&problem.error);
    }
    if (broken.empty()) return {};
    ARTCACHE_TRY(auto scanned, scanned_of(broken));
    std::vector<char> open(broken.size(), 0);
    ARTCACHE_CHECK(taker_.listed(broken, scanned, open));
    Chunk chunk;
    for (std::size_t i = 0; i < broken.size(); ++i) {
      if (open[i] == 0) continue;
      Opened& file = chunk.files.emplace_back();
      file.path = broken[i].path;
      file.known = std::move(scanned[i]);
      file.put = *errors[i];
    }
    if (chunk.files.empty() || chunks_.push_one(std::move(chunk))) return {};
    return Error{Errc::cancelled, "walk: the listing was ended"};
  }

  Result<std::vector<std::optional<ScannedFile>>> scanned_of(std::span<const ListedFile> files) {
    if (!plan_.scanned) return std::vector<std::optional<ScannedFile>>(files.size());
    std::vector<std::string_view> paths;
    paths.reserve(files.size());
    for (const ListedFile& file : files) paths.push_back(file.path);
    return plan_.scanned(paths, ending_.call());
  }

  Result<void> sidecars(std::span<const ListedFile> files) {
    if (files.empty()) return {};
    ARTCACHE_TRY(auto scanned, scanned_of(files));
    std::vector<char> open(files.size(), 0);
    ARTCACHE_CHECK(taker_.listed(files, scanned, open));
    std::vector<Wanted> wanted;
    wanted.reserve(files.size());
    for (std::size_t i = 0; i < files.size(); ++i) {
      if (open[i] == 0) continue;
      Wanted& file = wanted.emplace_back();
      file.known = std::move(scanned[i]);
      if (file.known)
        file.path = std::exchange(file.known->path, {});
      else
        file.path = files[i].path;
    }
    if (wanted.empty() || paths_.push(std::move(wanted))) return {};
    return Error{Errc::cancelled, "walk: the listing was ended"};
  }

  void read() {
    while (!paths_.ended()) {
      std::vector<Wanted> wanted = paths_.pop(kChunk, kPatience);
      if (wanted.empty()) continue;
      auto chunk = read_chunk(plan_, std::move(wanted), ending_.call(), take_spare());
      if (!chunk) {
        // What the other readers are at now is not to be read again by the next run.
        ending_.note(std::move(chunk).error());
        paths_.abandon();
        break;
      }
      if (!chunks_.push_one(std::move(*chunk))) break;
    }
    if (readers_.fetch_sub(1) == 1) chunks_.end();
  }

  void take() {
    while (!chunks_.ended()) {
      std::vector<Chunk> chunk = chunks_.pop(1, kTick);
      Result<void> taken = taker_.pause();
      if (taken && !chunk.empty()) taken = taker_.opened(chunk.front());
      if (!taken) {
        ending_.fail(std::move(taken).error());
        return;
      }
      if (!chunk.empty()) give_spare(std::move(chunk.front()));
    }
  }

  Chunk take_spare() {
    const util::MutexLock lock(spare_mutex_);
    if (spare_.empty()) return {};
    Chunk chunk = std::move(spare_.back());
    spare_.pop_back();
    return chunk;
  }
  void give_spare(Chunk chunk) {
    const util::MutexLock lock(spare_mutex_);
    if (spare_.size() < kReaders + kChunksMost) spare_.push_back(std::move(chunk));
  }

  const WalkPlan& plan_;
  WalkTaker& taker_;
  Ending ending_;
  const Call& call_;
  BoundedQueue<Wanted> paths_{kPathsMost};
  BoundedQueue<Chunk> chunks_{kChunksMost};
  std::atomic<std::size_t> readers_{kReaders};  // that are at work
  util::Mutex spare_mutex_;
  /// Taken already; their buffers are used again. To free on one thread what another one has
  /// allocated, string by string, costs as much as parsing.
  std::vector<Chunk> spare_ ARTCACHE_GUARDED_BY(spare_mutex_);
};

void decode_into(Opened& file, std::string_view bytes, bool drop_known) {
  file.text_hash = attr::text_hash(bytes);
  if (drop_known && file.known && file.known->stamp == file.stamp &&
      file.known->text_hash == file.text_hash) {
    file.dropped = true;
    file.misnamed = is_misnamed(file.path, file.known->id);
    return;
  }
  if (!file.put) file.put = PreparedEntry{};
  if (auto decoded = attr::decode(bytes, file.path, file.put->entry); !decoded) {
    file.put = std::move(decoded).error();
    return;
  }
  file.misnamed = is_misnamed(file.path, file.put->entry.id);
  attr::prepare_again(*file.put);
}

constexpr std::size_t kIdLength = 36;

/// Our names end in `_ID.extension`, before the suffix of a sidecar.
std::string_view id_in_name(std::string_view path) {
  const std::size_t at = path.rfind('_') + 1;  // 0: there is none
  std::string_view tail = path.substr(at);
  if (at == 0 || tail.size() <= kIdLength || tail[kIdLength] != '.') return {};
  tail = tail.substr(0, kIdLength);
  return tail[8] == '-' && tail[13] == '-' && tail[18] == '-' && tail[23] == '-'
             ? tail
             : std::string_view();
}

}  // namespace

bool is_misnamed(std::string_view path, const FileId& id) {
  const std::string_view text = id_in_name(path);
  if (text.empty()) return false;
  const auto named = FileId::parse(text);
  return named && *named != id;
}

std::string misnamed_text(std::string_view path, const FileId& id) {
  return "'" + std::string(path) + "' tells of " + to_string(id) +
         ", which counts, and not of the id in its name: rename it, or mend its file_id";
}

namespace {

Result<void> take_from_budget(const WalkPlan& plan, std::uint64_t files, std::uint64_t bytes,
                              const Call& call) {
  if (plan.budget == nullptr) return {};
  if (plan.session != nullptr) return plan.session->take(*plan.budget, files, bytes);
  return plan.budget->take(files, bytes, call);
}

}  // namespace

Result<Chunk> read_chunk(const WalkPlan& plan, std::vector<Wanted> wanted, const Call& call,
                         Chunk used) {
  Chunk chunk = std::move(used);
  chunk.files.resize(wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    Opened& file = chunk.files[i];
    file.path = std::move(wanted[i].path);
    file.known = std::move(wanted[i].known);
    file.stamp = {};
    file.text_hash = 0;
    file.dropped = file.misnamed = false;
  }
  ARTCACHE_CHECK(take_from_budget(plan, chunk.files.size(), 0, call));
  // Before the first byte is read: whatever changes from now on is newer than what will be read.
  ARTCACHE_TRY(const IndexHead head, plan.log.head(call));
  chunk.as_of = head.position.seq;
  std::vector<std::string_view> paths;
  paths.reserve(chunk.files.size());
  for (const Opened& file : chunk.files) paths.push_back(file.path);
  std::atomic<std::uint64_t> bytes{0};
  const auto decode = [&](std::size_t index, Result<SidecarBytes> read) -> Result<void> {
    Opened& file = chunk.files[index];
    if (!read) {
      file.put = std::move(read).error();
      return {};
    }
    bytes.fetch_add(read->bytes.size(), std::memory_order_relaxed);
    file.stamp = read->stamp;
    decode_into(file, read->bytes, plan.drop_known);
    return {};
  };
  ARTCACHE_CHECK(plan.storage.read_sidecars(paths, plan.size_most, decode, call));
  chunk.bytes = bytes.load();
  ARTCACHE_CHECK(take_from_budget(plan, 0, chunk.bytes, call));
  return chunk;
}

Result<void> walk(const WalkPlan& plan, WalkTaker& taker, const Call& call) {
  return Walk(plan, taker, call).run();
}

}  // namespace artcache::reconcile
