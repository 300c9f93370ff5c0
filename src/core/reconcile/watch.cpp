// SPDX-License-Identifier: Apache-2.0
#include "core/reconcile/watch.hpp"

#include <algorithm>
#include <exception>
#include <memory>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>

#include "core/reconcile/applier.hpp"
#include "core/reconcile/rebuild.hpp"
#include "core/reconcile/watch_machine.hpp"
#include "util/try.hpp"

namespace artcache::reconcile {
namespace {

using Action = WatchMachine::Action;

/// How often the loop looks up when nothing comes: for the end of its call.
constexpr std::chrono::milliseconds kLook{500};
/// Paths of a folder that is gone, held at once, at most.
constexpr std::size_t kGoneMost = 10'000;

/// Notices on their way from the thread that waits for them, in bounded memory: while the loop is
/// at work, the storage must not have to throw any away.
class Inbox {
 public:
  struct Mail {
    ChangeBatch batch;
    std::optional<Error> ended;  ///< there will be no more
  };
  explicit Inbox(std::size_t paths_most) : paths_(paths_most) {}

  void put(ChangeBatch batch) {
    const util::MutexLock lock(mutex_);
    for (std::string& path : batch.sidecars) paths_.add_file(std::move(path));
    for (std::string& folder : batch.folders) paths_.add_folder(std::move(folder));
    overflowed_ = overflowed_ || batch.overflowed;
    changed_.notify_all();
  }
  void end(Error error) {
    const util::MutexLock lock(mutex_);
    ended_ = std::move(error);
    changed_.notify_all();
  }
  /// For good: the call has ended, which is looked at before each wait.
  void wake() {
    const util::MutexLock lock(mutex_);
    woken_ = true;
    changed_.notify_all();
  }

  Mail take() {
    const util::MutexLock lock(mutex_);
    util::PathSet::Taken taken = paths_.take();
    return {{.sidecars = std::move(taken.files),
             .folders = std::move(taken.folders),
             .overflowed = std::exchange(overflowed_, false)},
            std::exchange(ended_, std::nullopt)};
  }
  void wait(std::chrono::nanoseconds most) {
    const util::MutexLock lock(mutex_);
    if (!woken_ && !ended_ && paths_.empty()) changed_.wait_for(mutex_, most);
  }

 private:
  util::Mutex mutex_;
  util::CondVar changed_;
  util::PathSet paths_ ARTCACHE_GUARDED_BY(mutex_);
  bool overflowed_ ARTCACHE_GUARDED_BY(mutex_) = false;
  bool woken_ ARTCACHE_GUARDED_BY(mutex_) = false;
  std::optional<Error> ended_ ARTCACHE_GUARDED_BY(mutex_);
};

/// What may be over after a while: a lock that was lost, a server that is away.
bool is_passing(const Error& error) {
  return error.code == Errc::busy || error.code == Errc::lease_lost ||
         error.code == Errc::unavailable || error.code == Errc::timed_out ||
         error.code == Errc::conflict;
}

class Loop {
 public:
  Loop(const Context& context, const WatchAccess& access, const WatchRequest& request,
       WatchBoard& board, const Call& call)
      : context_(context),
        access_(access),
        request_(request),
        board_(board),
        call_(call),
        inbox_(request.limits.paths_most),
        machine_({.paths_most = request.limits.paths_most, .rescan_every = request.rescan_every},
                 now()) {}

  Result<void> run();

 private:
  [[nodiscard]] Clock::SteadyTime now() const { return context_.deps.clock->steady(); }
  [[nodiscard]] bool ended() const { return !call_.check("watch", *context_.deps.clock); }

  Result<void> listen();
  Result<void> without_notices(const Error& error);
  void await(Clock::SteadyTime until);
  Result<void> act(const Action& action);
  Result<void> settle(const Action& action);
  Result<void> rescan(const Action& action);
  Result<void> rescan_below(const std::string& folder, Session& session);
  Result<RebuildReport> follow_gone(const std::string& folder, Session& session);
  void rescanned(const std::string& folder, const RebuildReport& report);
  Result<void> distrust();
  Result<void> trust();
  void retry(const Action& action, const Error& error);
  void tell(WatchEvent event);

  const Context& context_;
  const WatchAccess& access_;
  const WatchRequest& request_;
  WatchBoard& board_;
  const Call& call_;
  Inbox inbox_;
  WatchMachine machine_;
  std::string reason_;  // that distrust() left in the index
  std::unique_ptr<ChangeNotices> notices_;
  std::jthread listener_;  // the last member: it ends before what it uses
};

Result<void> Loop::run() {
  // Before anything is listed, so that nothing falls between the listing and the notices.
  ARTCACHE_CHECK(listen());
  const std::stop_callback wake(call_.stop, [this] { inbox_.wake(); });
  while (!ended()) {
    Inbox::Mail mail = inbox_.take();
    if (mail.ended) ARTCACHE_CHECK(without_notices(*mail.ended));
    machine_.noticed(mail.batch, now());
    const Action action = machine_.next(now());
    if (action.kind == Action::Kind::wait) {
      await(action.until);
      continue;
    }
    const Result<void> done = act(action);
    if (done) continue;
    if (ended()) break;
    if (!is_passing(done.error())) return done;
    retry(action, done.error());
  }
  return {};
}

Result<void> Loop::listen() {
  auto notices = context_.storage.watch(request_.limits, call_);
  if (!notices) return ended() ? Result<void>() : without_notices(notices.error());
  notices_ = std::move(*notices);
  board_.update([](WatchStatus& status) { status.by_notices = true; });
  tell({.kind = WatchEvent::Kind::began});
  listener_ = std::jthread([this](const std::stop_token& stop) {
    Call call;
    call.stop = stop;
    try {
      while (true) {
        auto batch = notices_->wait(call);
        if (!batch) return inbox_.end(std::move(batch).error());
        inbox_.put(std::move(*batch));
      }
    } catch (const std::exception& e) {
      inbox_.end({Errc::internal, std::string("watch: ") + e.what()});
    }
  });
  return {};
}

/// Comparing everything every so often makes up for notices that there are none of, if it was
/// asked for: it may cost a lot.
Result<void> Loop::without_notices(const Error& error) {
  const bool helps = error.code == Errc::unsupported || error.code == Errc::no_space;
  if (!helps) return error;
  if (request_.rescan_every <= request_.rescan_every.zero())
    return Error{error.code,
                 error.message + "; or ask for the whole storage to be compared every so often"};
  const std::string why = to_string(error);
  board_.update([&](WatchStatus& status) {
    status.by_notices = false;
    status.message = why;
  });
  tell({.kind = WatchEvent::Kind::began, .message = why});
  // What changed since the last notice, nobody has told of.
  machine_.noticed({.folders = {""}}, now());
  return {};
}

void Loop::await(Clock::SteadyTime until) {
  const std::size_t pending = machine_.pending();
  const bool suspect = machine_.suspect();
  board_.update([&](WatchStatus& status) {
    status.pending = pending;
    status.suspect = suspect;
    if (pending == 0) status.caught_up_at = context_.now();
  });
  const Clock::SteadyTime at = now();
  if (until > at) inbox_.wait(std::min<std::chrono::nanoseconds>(until - at, kLook));
}

Result<void> Loop::act(const Action& action) {
  switch (action.kind) {
    case Action::Kind::settle:
    case Action::Kind::settle_again:
      return settle(action);
    case Action::Kind::rescan:
      return rescan(action);
    case Action::Kind::distrust:
      return distrust();
    case Action::Kind::trust:
      return trust();
    case Action::Kind::wait:
      break;
  }
  return {};
}

Result<void> Loop::settle(const Action& action) {
  const Clock::SteadyTime begun = now();
  Tally tally(context_);
  RunStatistics statistics;
  std::vector<Settled> outcomes;
  const auto work = [&](Session& session) -> Result<void> {
    Applier applier(context_, session, tally, statistics);
    ARTCACHE_TRY(outcomes, applier.settle(action.paths));
    return {};
  };
  ARTCACHE_CHECK(access_.beside_others(work, call_));
  machine_.settled(action, outcomes, now());
  const bool first = action.kind == Action::Kind::settle;
  const MessageList messages = tally.messages();
  // At the first look a sidecar may be in the making.
  if (!first)
    for (const std::string& text : messages.texts)
      context_.log(LogLevel::warning, "A sidecar says nothing", {{"reason", text}}, call_);
  const std::uint64_t moved =
      statistics.entries_inserted + statistics.entries_changed + statistics.entries_deleted;
  if (!first && moved == 0) return {};
  tell({.kind = WatchEvent::Kind::applied,
        .took = now() - begun,
        .message = messages.texts.empty() ? std::string() : messages.texts.front(),
        .sidecars = action.paths.size(),
        .inserted = statistics.entries_inserted,
        .changed = statistics.entries_changed,
        .removed = statistics.entries_deleted,
        .unreadable = statistics.unreadable});
  return {};
}

Result<void> Loop::rescan(const Action& action) {
  if (action.paths.front().empty()) {
    ARTCACHE_TRY(const RebuildReport report, access_.rescan_all(call_));
    rescanned("", report);
    return {};
  }
  std::size_t next = 0;  // stays where it was when the work yields, and is begun anew
  const auto work = [&](Session& session) -> Result<void> {
    for (; next < action.paths.size(); ++next)
      ARTCACHE_CHECK(rescan_below(action.paths[next], session));
    return {};
  };
  return access_.beside_others(work, call_);
}

Result<void> Loop::rescan_below(const std::string& folder, Session& session) {
  const RebuildRequest request{.folder = folder, .prune = Prune::yes};
  auto report = rebuild(context_, RunKind::incremental, request, session, {});
  const bool is_gone = !report && (report.error().code == Errc::not_found ||
                                   report.error().code == Errc::unsupported);
  if (is_gone) report = follow_gone(folder, session);
  if (!report) return std::move(report).error();
  rescanned(folder, *report);
  return {};
}

/// There is no such folder any more, but the index has files of it.
Result<RebuildReport> Loop::follow_gone(const std::string& folder, Session& session) {
  RebuildReport report;
  Tally tally(context_);
  ARTCACHE_TRY(Stopwatch watch, Stopwatch::start(context_, session.call()));
  Applier applier(context_, session, tally, report.statistics);
  std::string last;
  const std::size_t most = std::min(kGoneMost, context_.settings.found_most);
  for (bool more = true; more;) {
    std::vector<std::string> paths;
    const auto collect = [&](std::span<const ScannedFile> files) -> Result<void> {
      for (const ScannedFile& file : files) paths.push_back(file.path);
      // Only to end the scan: that it was this is told by their number.
      if (paths.size() >= most) return Error{Errc::cancelled, "enough for now"};
      return session.step("watch");
    };
    const auto looked =
        context_.index.scan_table({.folder = folder, .after = last}, collect, session.call());
    more = paths.size() >= most;
    if (!looked && !more) return looked.error();
    for (std::size_t at = 0; at < paths.size(); at += kChunk) {
      ARTCACHE_CHECK(session.step("watch"));
      const auto part = std::span(paths).subspan(at, std::min(kChunk, paths.size() - at));
      ARTCACHE_CHECK(applier.settle({part.begin(), part.end()}));
    }
    if (!paths.empty()) last = paths.back();
  }
  ARTCACHE_TRY(report.verdict, watch.stop(tally, session.call()));
  return report;
}

void Loop::rescanned(const std::string& folder, const RebuildReport& report) {
  machine_.rescanned(folder, report.verdict.complete(), now());
  const RunStatistics& statistics = report.statistics;
  tell({.kind = WatchEvent::Kind::rescanned,
        .took = report.verdict.duration,
        .folder = folder,
        .message = report.verdict.not_seen,
        .sidecars = statistics.attr_files_scanned,
        .inserted = statistics.entries_inserted,
        .changed = statistics.entries_changed,
        .removed = statistics.entries_deleted,
        .unreadable = statistics.unreadable});
}

Result<void> Loop::distrust() {
  const std::string reason = machine_.reason();
  bool ours = false;
  const auto work = [&](Session& session) -> Result<void> {
    ARTCACHE_TRY(const IndexHead head, context_.index.head(call_));
    ours = head.suspect_reason.empty();
    if (ours) ARTCACHE_CHECK(context_.index.set_suspect(reason, session.fence(), call_));
    return {};
  };
  ARTCACHE_CHECK(access_.beside_others(work, call_));
  if (ours) reason_ = reason;
  machine_.distrusted(ours ? WatchMachine::Whose::ours : WatchMachine::Whose::another);
  tell({.kind = WatchEvent::Kind::lost, .message = reason});
  return {};
}

/// Takes back what it has said itself; somebody else may have found another reason meanwhile.
Result<void> Loop::trust() {
  const auto work = [&](Session& session) -> Result<void> {
    ARTCACHE_TRY(const IndexHead head, context_.index.head(call_));
    if (head.suspect_reason == reason_)
      ARTCACHE_CHECK(context_.index.trust(head, session.fence(), call_));
    return {};
  };
  ARTCACHE_CHECK(access_.beside_others(work, call_));
  machine_.trusted();
  tell({.kind = WatchEvent::Kind::trusted});
  return {};
}

void Loop::retry(const Action& action, const Error& error) {
  machine_.failed(action, now());
  tell({.kind = WatchEvent::Kind::retrying, .message = to_string(error)});
}

void Loop::tell(WatchEvent event) {
  using Kind = WatchEvent::Kind;
  event.at = context_.now();
  event.pending = machine_.pending();
  const bool suspect = machine_.suspect();
  board_.update([&](WatchStatus& status) {
    status.pending = event.pending;
    status.suspect = suspect;
    status.sidecars += event.sidecars;
    status.inserted += event.inserted;
    status.changed += event.changed;
    status.removed += event.removed;
    status.rescans += event.kind == Kind::rescanned;
    status.losses += event.kind == Kind::lost;
    status.retries += event.kind == Kind::retrying;
  });
  const bool odd = !event.message.empty() && event.kind != Kind::applied;
  const LogLevel level = odd                           ? LogLevel::warning
                         : event.kind == Kind::applied ? LogLevel::debug
                                                       : LogLevel::info;
  context_.log(level, "Watch: " + std::string(to_string(event.kind)),
               {{"element_id", context_.settings.element},
                {"folder", event.folder},
                {"sidecars", static_cast<std::int64_t>(event.sidecars)},
                {"new", static_cast<std::int64_t>(event.inserted)},
                {"changed", static_cast<std::int64_t>(event.changed)},
                {"removed", static_cast<std::int64_t>(event.removed)},
                {"duration_seconds", seconds_of(event.took)},
                {"reason", event.message}},
               call_);
  if (request_.on_event) request_.on_event(event);
}

}  // namespace

Result<void> watch(const Context& context, const WatchAccess& access, const WatchRequest& request,
                   WatchBoard& board, const Call& call) {
  return Loop(context, access, request, board, call).run();
}

}  // namespace artcache::reconcile
