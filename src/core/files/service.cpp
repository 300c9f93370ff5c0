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
Result<void> FileService::remove(const FileId& id, const Call& call) {
  return impl_->remove(id, call);
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
  ARTCACHE_TRY(const Presence::Mark mark, presence_.mark(call));
  Work work{std::move(turn), std::move(claim), mark, {}};
  work.intent = {
      .id = id, .path = {}, .operation = operation, .begun_at = std::max(place_.now(), mark.since)};
  return work;
}

Result<void> FileService::Impl::announce(Work& work, std::string path, const Call& call) {
  work.intent.path = std::move(path);
  if (auto noted = index().add_intent(work.intent, call); !noted) {
    Error error = std::move(noted).error();
    if (after_error(work.intent.operation, Stage::intent, error.outcome) != Undo::nothing)
      if (!end_intent(place_, work.intent.id, work.mark.fence, grace())) {
        const std::scoped_lock held(mutex_);
        abandoned_.insert(work.intent.id);
      }
    error.outcome = Outcome::not_applied;
    return error;
  }
  return {};
}

Result<void> FileService::Impl::give_up(Work& work, Stage stage, Error error) {
  const Undo undo = after_error(work.intent.operation, stage, error.outcome);
  const Call call = grace();
  if (undo == Undo::take_back) (void)storage().remove(sidecar_of(work.intent.path), call);
  const auto ended = [&]() -> Result<Settled> {
    if (undo == Undo::nothing) return Settled::undone;
    ARTCACHE_TRY(work.mark, presence_.mark(call));  // the lease may be what was lost
    return settle(place_, work.intent, work.mark.fence, call);
  }();
  if (!ended) {
    warn("A change could not be finished nor taken back; recovery will", work.intent,
         ended.error());
    const std::scoped_lock held(mutex_);
    abandoned_.insert(work.intent.id);
    error.outcome = Outcome::unknown;
    return error;
  }
  const Settled wanted =
      work.intent.operation == Intent::Operation::remove ? Settled::undone : Settled::completed;
  if (undo != Undo::nothing && *ended == wanted) return {};
  error.outcome = Outcome::not_applied;
  return error;
}

// --- Recovery -----------------------------------------------------------------------------------

Result<RecoveryReport> FileService::Impl::recover(const Call& call) {
  const std::scoped_lock alone(recovering_);
  RecoveryReport report;
  if (!may_write_files(settings_.mode)) {
    ARTCACHE_TRY(const auto intents, index().intents(call));
    report.under_way = intents.size();
    return report;
  }
  ARTCACHE_CHECK(presence_.mark(call));
  // First the intents, then who is alive: whoever noted one of these was alive before.
  ARTCACHE_TRY(const auto intents, index().intents(call));
  ARTCACHE_TRY(const auto others, presence_.others_since(call));
  for (const Intent& intent : intents) {
    Owner owner = Owner::somebody;
    {
      const std::scoped_lock held(mutex_);
      if (abandoned_.contains(intent.id)) owner = Owner::me_before;
    }
    if (in_flight_.holds(intent.id)) owner = Owner::me_now;
    if (may_be_under_way(owner, intent.begun_at, others)) {
      ++report.under_way;
      continue;
    }
    ARTCACHE_CHECK(call.check("files: recovery", *place_.deps.clock));
    ARTCACHE_TRY(const bool settled, recover_one(intent, report, call));
    if (!settled) continue;
    const std::scoped_lock held(mutex_);
    abandoned_.erase(intent.id);
  }
  recovered_.store(true, std::memory_order_release);
  return report;
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
  const auto settled = claim ? settle(place_, intent, mark.fence, call) : claim.error();
  if (!settled || *settled == Settled::given_up) {
    const Error error =
        settled ? Error{Errc::corrupt, "its sidecar cannot be read"} : settled.error();
    warn("A change that was cut short could not be settled", intent, error);
    if (report.left.size() < kLeftMost)
      report.left.push_back(intent.path + ": " + to_string(error));
    return settled.has_value();
  }
  ++(*settled == Settled::completed ? report.completed : report.undone);
  return true;
}

}  // namespace artcache
