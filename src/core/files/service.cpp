// SPDX-License-Identifier: Apache-2.0
// FileService: what surrounds every change, and recovery.
#include "core/files/service.hpp"

#include <algorithm>
#include <artcache/lock_manager.hpp>
#include <chrono>
#include <cstring>

#include "util/try.hpp"

namespace artcache {

using namespace files;

namespace {

/// What is left to be done after an error is done whatever the call's deadline, but not for ever.
constexpr std::chrono::seconds kGrace{10};
constexpr std::size_t kLeftMost = 1000;

/// Until when what was settled of this file is watched, and since when its intent is there.
std::string watch_note(const FileId& id) { return "settled/" + to_string(id); }
std::string watch_text(Timestamp until, const Intent& intent) {
  return to_string(until) + " " + to_string(intent.begun_at);
}
std::optional<Timestamp> due_time(std::string_view note) {
  const auto time = Timestamp::parse(note.substr(0, note.find(' ')));
  return time ? std::optional(*time) : std::nullopt;
}

}  // namespace

Result<std::size_t> MemorySource::read(std::span<std::byte> buffer, const Call& call) {
  (void)call;
  const std::size_t bytes = std::min(buffer.size(), left_.size());
  if (bytes > 0) std::memcpy(buffer.data(), left_.data(), bytes);
  left_.remove_prefix(bytes);
  return bytes;
}

FileService::FileService(StorageBackend& storage, MetadataStore& index, LockManager& locks,
                         FileSettings settings, const Deps& deps)
    : impl_(std::make_unique<Impl>(storage, index, locks, std::move(settings), deps)) {}
FileService::~FileService() = default;

Result<RecoveryReport> FileService::recover(const Call& call) { return impl_->recover(call); }
std::size_t FileService::unsettled() const { return impl_->unsettled(); }
Result<IndexedEntry> FileService::upload(const UploadRequest& request, ByteSource& source,
                                         const Call& call) {
  return impl_->upload(request, source, call);
}
Result<IndexedEntry> FileService::metadata(const FileId& id, const Call& call) {
  return impl_->metadata(id, call);
}
Result<std::optional<IndexedEntry>> FileService::indexed(const FileId& id, const Call& call) {
  return impl_->indexed(id, call);
}
Result<std::unique_ptr<Download>> FileService::download(const FileId& id,
                                                        const DownloadRequest& request,
                                                        const Call& call) {
  return impl_->download(id, request, call);
}
Result<EntryPage> FileService::list(const PageRequest& request, const Call& call) {
  return impl_->list(request, call);
}
Result<EntryPage> FileService::search(const SearchRequest& request, const Call& call) {
  return impl_->search(request, call);
}
Result<IndexedEntry> FileService::update(const FileId& id, const UpdateRequest& request,
                                         const Call& call) {
  return impl_->update(id, request, call);
}
Result<void> FileService::remove(const FileId& id, const RemoveRequest& request, const Call& call) {
  return impl_->remove(id, request, call);
}

FileService::Impl::Impl(StorageBackend& storage, MetadataStore& index, LockManager& locks,
                        FileSettings settings, const Deps& deps)
    : settings_(std::move(settings)),
      locks_(locks),
      place_{storage, index, settings_, deps},
      presence_(locks, settings_.element, deps),
      capacity_(index, settings_.capacity_bytes) {}

Call FileService::Impl::grace() const { return Call().within(kGrace, *place_.deps.clock); }

Result<void> FileService::Impl::allow(bool allowed, std::string_view what) const {
  if (allowed) return {};
  return Error{Errc::invalid_argument, std::string(what) + " not allowed in " +
                                           std::string(to_string(settings_.mode)) + " mode"};
}

void FileService::Impl::warn(std::string_view message, const Intent& intent,
                             const Error& error) const {
  Logger& logger = *place_.deps.logger;
  if (!logger.enabled(LogLevel::warning)) return;
  const std::string id = to_string(intent.id), cause = to_string(error);
  const LogField fields[] = {{"file_id", id}, {"path", intent.path}, {"cause", cause}};
  logger.log({LogLevel::warning, "files", message, fields, {}});
}

// --- Around a change ----------------------------------------------------------------------------

Result<FileService::Impl::Work> FileService::Impl::begin(const FileId& id,
                                                         Intent::Operation operation,
                                                         Exclusive exclusive, const Call& call) {
  // What a crash left of this very file may be in the way. What cannot be settled now stays named
  // in its intent.
  if (!recovered_.load(std::memory_order_acquire)) ARTCACHE_CHECK(recover(call));
  ARTCACHE_TRY(auto turn, in_flight_.enter(id, call, *place_.deps.clock));
  std::optional<Claim> claim;
  if (exclusive == Exclusive::everywhere) {
    ARTCACHE_TRY(Claim taken, Claim::take(locks_, id, "change of a file", place_.deps, call));
    claim.emplace(std::move(taken));
  }
  ARTCACHE_CHECK(nothing_may_arrive(id, call));
  ARTCACHE_TRY(const Presence::Mark mark, presence_.mark(call));
  Work work{std::move(turn), std::move(claim), mark, {}};
  work.intent = {
      .id = id, .path = {}, .operation = operation, .begun_at = std::max(place_.now(), mark.since)};
  return work;
}

/// Another change would take the place of the intent of one that is watched, by whatever service.
Result<void> FileService::Impl::nothing_may_arrive(const FileId& id, const Call& call) {
  if (late_writes().count() == 0) return {};
  ARTCACHE_TRY(const std::string text, index().note(watch_note(id), call));
  const auto until = due_time(text);
  const bool watched = until && *until > place_.now() && *until <= place_.now() + late_writes();
  if (!watched && !unsettled_.is(id, Unsettled::Why::abandoned)) return {};
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(late_writes()).count();
  return Error{Errc::busy,
               "files: a change of " + to_string(id) +
                   " was cut short, and may still arrive at the storage; try again in " +
                   std::to_string(seconds) + " s"};
}

Result<void> FileService::Impl::announce(Work& work, std::string path, const Call& call) {
  work.intent.path = std::move(path);
  if (auto noted = index().add_intent(work.intent, call); !noted) {
    Error error = std::move(noted).error();
    if (after_error(work.intent.operation, Stage::intent, error.outcome) != Undo::nothing)
      if (!end_intent(place_, work.intent.id, work.mark.fence, grace()))
        unsettled_.add(work.intent.id, Unsettled::Why::abandoned);
    error.outcome = Outcome::not_applied;
    return error;
  }
  return {};
}

bool FileService::Impl::may_arrive(Stage stage, const Error& error) const {
  return (stage == Stage::data || stage == Stage::sidecar) && error.outcome == Outcome::unknown &&
         late_writes().count() > 0;
}

Result<void> FileService::Impl::give_up(Work& work, Stage stage, Error error) {
  const Undo undo = after_error(work.intent.operation, stage, error.outcome);
  const Call call = grace();
  if (undo == Undo::take_back) (void)storage().remove(sidecar_of(work.intent.path), call);
  const bool late = may_arrive(stage, error);
  const auto ended = [&]() -> Result<Settled> {
    if (undo == Undo::nothing) return Settled::undone;
    ARTCACHE_TRY(work.mark, presence_.mark(call));  // the lease may be what was lost
    if (!late) return settle(place_, work.intent, work.mark.fence, call);
    ARTCACHE_TRY(const Settled now,
                 settle(place_, work.intent, work.mark.fence, call, IntentThen::stays));
    if (now != Settled::given_up) ARTCACHE_CHECK(begin_watch(work.intent, work.mark.fence, call));
    return now;
  }();
  if (!ended) {
    warn("A change could not be finished nor taken back; recovery will", work.intent,
         ended.error());
    unsettled_.add(work.intent.id, Unsettled::Why::abandoned);
    error.outcome = Outcome::unknown;
    return error;
  }
  const Settled wanted =
      work.intent.operation == Intent::Operation::remove ? Settled::undone : Settled::completed;
  if (undo != Undo::nothing && *ended == wanted) return {};
  // An upload that arrives late is taken away again; another change would be seen.
  if (!late || work.intent.operation == Intent::Operation::upload)
    error.outcome = Outcome::not_applied;
  return error;
}

// --- Recovery -----------------------------------------------------------------------------------

Result<RecoveryReport> FileService::Impl::recover(const Call& call) {
  // Another one may wait for a storage or a lock server that does not answer.
  ARTCACHE_TRY(const auto alone, recovering_.enter(FileId(), call, *place_.deps.clock,
                                                   "another recovery of this store"));
  RecoveryReport report;
  if (!may_write_files(settings_.mode)) {
    ARTCACHE_TRY(const auto intents, index().intents(call));
    report.under_way = intents.size();
    return report;
  }
  ARTCACHE_CHECK(presence_.mark(call));
  const std::uint64_t known = unsettled_.mark();
  // First the intents, then who is alive: whoever noted one of these was alive before.
  ARTCACHE_TRY(const auto intents, index().intents(call));
  unsettled_.forget_ended(known, intents);
  ARTCACHE_TRY(const auto others, presence_.others_since(call));
  for (const Intent& intent : intents) {
    const bool mine = unsettled_.is(intent.id, Unsettled::Why::abandoned) ||
                      unsettled_.is(intent.id, Unsettled::Why::watched);
    Owner owner = mine ? Owner::me_before : Owner::somebody;
    if (in_flight_.holds(intent.id)) owner = Owner::me_now;
    bool settled = false;
    if (may_be_under_way(owner, intent.begun_at, others)) {
      ++report.under_way;
    } else {
      ARTCACHE_CHECK(call.check("files: recovery", *place_.deps.clock));
      ARTCACHE_TRY(settled, recover_one(intent, report, call));
    }
    // A writer that has just died may still be listed, and nobody else would look again.
    if (!settled && owner != Owner::me_now) unsettled_.add(intent.id, Unsettled::Why::others);
  }
  recovered_.store(true, std::memory_order_release);
  return report;
}

/// Since when is written down, so that a process that lives shortly ends it all the same.
Result<FileService::Impl::Watch> FileService::Impl::watch_of(const Intent& intent,
                                                             const Call& call) {
  if (late_writes().count() == 0) return Watch::is_over;
  ARTCACHE_TRY(const std::string text, index().note(watch_note(intent.id), call));
  const auto due = due_time(text);
  const Timestamp now = place_.now();
  // One of an earlier change was left behind, and one that is further away than any can be was
  // noted by a clock that went wrong.
  if (!due || *due > now + late_writes() || text != watch_text(*due, intent)) return Watch::begins;
  if (now >= *due) return Watch::is_over;
  unsettled_.add(intent.id, Unsettled::Why::watched);
  return Watch::goes_on;
}

Result<void> FileService::Impl::begin_watch(const Intent& intent, std::uint64_t fence,
                                            const Call& call) {
  const std::string text = watch_text(place_.now() + late_writes(), intent);
  ARTCACHE_CHECK(index().set_note(watch_note(intent.id), text, fence, call));
  unsettled_.add(intent.id, Unsettled::Why::watched);
  return {};
}

Result<bool> FileService::Impl::recover_one(const Intent& intent, RecoveryReport& report,
                                            const Call& call) {
  ARTCACHE_TRY(const auto turn, in_flight_.enter(intent.id, call, *place_.deps.clock));
  const auto claim = Claim::take(locks_, intent.id, "recovery of a file", place_.deps, call);
  if (!claim && claim.error().code == Errc::busy) {
    ++report.under_way;
    return false;
  }
  ARTCACHE_TRY(const Presence::Mark mark, presence_.mark(call));
  ARTCACHE_TRY(const Watch watch, watch_of(intent, call));
  if (watch == Watch::goes_on) {
    ++report.watched;
    return false;
  }
  const auto then = watch == Watch::begins ? IntentThen::stays : IntentThen::ends;
  const auto settled = claim ? settle(place_, intent, mark.fence, call, then) : claim.error();
  if (settled && *settled != Settled::given_up && watch == Watch::begins) {
    ARTCACHE_CHECK(begin_watch(intent, mark.fence, call));
    ++report.watched;
    return false;
  }
  if (settled && late_writes().count() > 0)
    ARTCACHE_CHECK(place_.index.drop_notes(watch_note(intent.id), mark.fence, call));
  if (!settled || *settled == Settled::given_up) {
    const Error error =
        settled ? Error{Errc::corrupt, "its sidecar cannot be read"} : settled.error();
    warn("A change that was cut short could not be settled", intent, error);
    if (report.left.size() < kLeftMost)
      report.left.push_back(intent.path + ": " + to_string(error));
    if (settled) unsettled_.erase(intent.id);
    return settled.has_value();
  }
  unsettled_.erase(intent.id);
  ++(*settled == Settled::completed ? report.completed : report.undone);
  return true;
}

}  // namespace artcache
