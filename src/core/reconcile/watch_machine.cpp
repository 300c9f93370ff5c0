// SPDX-License-Identifier: Apache-2.0
#include "core/reconcile/watch_machine.hpp"

#include <algorithm>
#include <utility>

namespace artcache::reconcile {
namespace {

/// Folders compared under one lock. Whoever waits for it meanwhile is let in between two of them.
constexpr std::size_t kFoldersAtOnce = 64;

/// What a look at a sidecar leaves to be done.
enum class Left : std::uint8_t { nothing, soon, when_settled };

Left left_after(Settled outcome, WatchMachine::Action::Kind look) {
  switch (outcome) {
    case Settled::moved:
      return Left::soon;
    case Settled::inserted:
    case Settled::updated:
    case Settled::replaced:
      return Left::when_settled;
    case Settled::unchanged:
    case Settled::older:
    case Settled::unreadable:
      return look == WatchMachine::Action::Kind::settle ? Left::when_settled : Left::nothing;
    case Settled::removed:
    case Settled::forgotten:
      break;
  }
  return Left::nothing;
}

}  // namespace

WatchMachine::WatchMachine(const WatchTuning& tuning, Time now)
    : tuning_(tuning), pending_(tuning.paths_most), take_at_(now), retry_(tuning.retry_least) {
  pending_.add_folder("");
}

void WatchMachine::noticed(const ChangeBatch& batch, Time now) {
  for (const std::string& folder : batch.folders) {
    add_folder(folder, now);
    if (batch.overflowed) lose(folder);
  }
  for (const std::string& path : batch.sidecars) add_file(path, now);
}

WatchMachine::Action WatchMachine::next(Time now) {
  using Kind = Action::Kind;
  if (now < blocked_until_) return {.until = blocked_until_};
  if (!lost_.empty() && !marked_) return {.kind = Kind::distrust};
  take_up_due(now);
  if (folders_.empty() && files_.empty() && !pending_.empty() && take_at_ <= now) {
    auto [files, folders] = pending_.take();
    files_.assign(std::move_iterator(files.begin()), std::move_iterator(files.end()));
    folders_.assign(std::move_iterator(folders.begin()), std::move_iterator(folders.end()));
  }
  if (!folders_.empty()) return take(Kind::rescan, folders_, kFoldersAtOnce);
  if (!files_.empty()) return take(Kind::settle, files_, kChunk);
  if (marked_ && lost_.empty()) {
    if (ours_) return {.kind = Kind::trust};
    marked_ = false;
  }
  if (!again_.empty() && again_.front().due <= now) return look_again(now);
  return {.until = next_time()};
}

void WatchMachine::take_up_due(Time now) {
  if (rescan_at_ <= now) {
    add_folder("", now);
    rescan_at_ = Time::max();
  }
  while (!unseen_.empty() && unseen_.front().due <= now) {
    add_folder(std::move(unseen_.front().path), now);
    unseen_.pop_front();
  }
}

WatchMachine::Action WatchMachine::take(Action::Kind kind, std::deque<std::string>& from,
                                        std::size_t most) {
  Action action{.kind = kind};
  while (!from.empty() && action.paths.size() < most) {
    action.paths.push_back(std::move(from.front()));
    from.pop_front();
  }
  return action;
}

WatchMachine::Action WatchMachine::look_again(Time now) {
  Action action{.kind = Action::Kind::settle_again};
  while (!again_.empty() && again_.front().due <= now && action.paths.size() < kChunk) {
    action.paths.push_back(std::move(again_.front().path));
    again_.pop_front();
  }
  // A sidecar that was noticed several times is in it as often.
  std::ranges::sort(action.paths);
  action.paths.erase(std::unique(action.paths.begin(), action.paths.end()), action.paths.end());
  return action;
}

WatchMachine::Time WatchMachine::next_time() const {
  Time time = rescan_at_;
  if (!pending_.empty()) time = std::min(time, take_at_);
  if (!again_.empty()) time = std::min(time, again_.front().due);
  if (!unseen_.empty()) time = std::min(time, unseen_.front().due);
  return time;
}

void WatchMachine::settled(const Action& action, std::span<const Settled> outcomes, Time now) {
  retry_ = tuning_.retry_least;
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    const Left left = left_after(outcomes[i], action.kind);
    if (left == Left::soon) add_file(action.paths[i], now);
    // Without room the next comparison of the whole storage opens it once more, that is all.
    if (left == Left::when_settled && again_.size() < tuning_.paths_most)
      again_.push_back({now + tuning_.settled_after, action.paths[i]});
  }
}

void WatchMachine::rescanned(const std::string& folder, bool saw_all, Time now) {
  retry_ = tuning_.retry_least;
  if (folder.empty() && tuning_.rescan_every > tuning_.rescan_every.zero())
    rescan_at_ = now + tuning_.rescan_every;
  const auto within = [&](const std::string& lost) { return util::is_within(lost, folder); };
  if (saw_all)
    std::erase_if(lost_,
                  [&](const std::string& lost) { return within(lost) && !is_to_come(lost); });
  else if (std::ranges::any_of(lost_, within))
    unseen_.push_back({now + tuning_.unseen_again, folder});
}

void WatchMachine::distrusted(Whose reason) {
  retry_ = tuning_.retry_least;
  marked_ = true;
  ours_ = ours_ || reason == Whose::ours;
}

void WatchMachine::trusted() {
  retry_ = tuning_.retry_least;
  marked_ = ours_ = false;
}

void WatchMachine::failed(const Action& action, Time now) {
  for (const std::string& path : action.paths) {
    if (action.kind == Action::Kind::rescan) add_folder(path, now);
    if (action.kind == Action::Kind::settle) add_file(path, now);
    if (action.kind == Action::Kind::settle_again) again_.push_front({now, path});
  }
  blocked_until_ = now + retry_;
  retry_ = std::min(retry_ * 2, tuning_.retry_most);
}

std::size_t WatchMachine::pending() const {
  return pending_.size() + folders_.size() + files_.size() + unseen_.size();
}

std::string WatchMachine::reason() const {
  if (lost_.empty()) return {};
  const std::string where = lost_.front().empty() ? "the storage" : "'" + lost_.front() + "'";
  const std::string more =
      lost_.size() > 1 ? " and " + std::to_string(lost_.size() - 1) + " more" : "";
  return "notices of changes in " + where + more + " were lost; watch lists what they may concern";
}

void WatchMachine::add_folder(std::string folder, Time now) {
  begin_quiet(now);
  pending_.add_folder(std::move(folder));
}

void WatchMachine::add_file(std::string path, Time now) {
  begin_quiet(now);
  pending_.add_file(std::move(path));
}

void WatchMachine::begin_quiet(Time now) {
  if (pending_.empty()) take_at_ = now + tuning_.quiet;
}

void WatchMachine::lose(const std::string& folder) {
  if (std::ranges::find(lost_, folder) == lost_.end()) lost_.push_back(folder);
  if (lost_.size() > tuning_.paths_most) lost_ = {""};
}

/// It will be compared once more, so the last time does not count.
bool WatchMachine::is_to_come(std::string_view folder) const {
  return pending_.covers(folder) || std::ranges::any_of(folders_, [&](const std::string& top) {
           return util::is_within(folder, top);
         });
}

}  // namespace artcache::reconcile
