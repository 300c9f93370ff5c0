// SPDX-License-Identifier: Apache-2.0
// FileService taken apart: what its operations share.
#pragma once

#include <artcache/file_service.hpp>
#include <atomic>
#include <chrono>
#include <optional>
#include <string>

#include "core/files/protocol.hpp"
#include "core/files/room.hpp"
#include "core/files/settler.hpp"
#include "core/files/unsettled.hpp"
#include "core/files/writers.hpp"

namespace artcache {

class FileService::Impl {
 public:
  Impl(StorageBackend& storage, MetadataStore& index, LockManager& locks, FileSettings settings,
       const Deps& deps);

  Result<RecoveryReport> recover(const Call& call);
  [[nodiscard]] std::size_t unsettled() const { return unsettled_.count(); }
  Result<IndexedEntry> upload(const UploadRequest& request, ByteSource& source, const Call& call);
  Result<IndexedEntry> metadata(const FileId& id, const Call& call);
  Result<std::optional<IndexedEntry>> indexed(const FileId& id, const Call& call);
  Result<std::unique_ptr<Download>> download(const FileId& id, const DownloadRequest& request,
                                             const Call& call);
  Result<IndexedEntry> update(const FileId& id, const UpdateRequest& request, const Call& call);
  Result<void> remove(const FileId& id, const RemoveRequest& request, const Call& call);
  Result<EntryPage> list(const PageRequest& request, const Call& call) {
    return index().page(request, call);
  }
  Result<EntryPage> search(const SearchRequest& request, const Call& call) {
    return index().search(request, call);
  }

 private:
  /// One change of one file: nobody else of this process changes it, its intent is known.
  struct Work {
    files::InFlight::Turn turn;
    std::optional<files::Claim> claim;
    files::Presence::Mark mark;
    Intent intent;
  };
  enum class Exclusive : std::uint8_t { here, everywhere };
  Result<Work> begin(const FileId& id, Intent::Operation operation, Exclusive exclusive,
                     const Call& call);
  /// Notes the intent. Errors: those of the index; then nothing has begun.
  Result<void> announce(Work& work, std::string path, const Call& call);
  /// After an error: leaves things as the protocol says, and completes or corrects the error.
  /// A value when the change was completed after all.
  Result<void> give_up(Work& work, files::Stage stage, Error error);
  /// What was asked of the storage, and not answered, may still arrive there.
  [[nodiscard]] bool may_arrive(files::Stage stage, const Error& error) const;
  [[nodiscard]] std::chrono::microseconds late_writes() const {
    return storage().capabilities().late_writes;
  }
  Result<void> allow(bool allowed, std::string_view what) const;

  /// A row and where its sidecar lies.
  struct Located {
    IndexedEntry row;
    std::string sidecar;
  };
  /// Errors: not_found, unavailable.
  Result<Located> locate(const FileId& id, const Call& call);
  Result<std::optional<IndexedEntry>> find_or_follow(const FileId& id, const Call& call);
  void offer_refresh(const FileId& id, const IndexedEntry& row);
  Result<std::string> path_in_storage(const FileId& id, const Call& call);
  Result<std::optional<IndexedEntry>> find_taken(const FileId& id, const Call& call);

  // upload
  Result<FileEntry> new_entry(const UploadRequest& request) const;
  Result<void> take_in(const UploadRequest& request, ByteSource& source, Work& work,
                       FileEntry& entry, files::Room& room, const Call& call);
  Result<IndexedEntry> put_new(Work& work, FileEntry entry, const Call& call);
  Result<IndexedEntry> repeat(const UploadRequest& request, const IndexedEntry& row,
                              ByteSource& source, const Call& call) const;
  Result<IndexedEntry> now_in_index(const FileId& id, const Call& call);

  // update and remove
  struct Sidecar {
    std::string text;
    FileEntry entry;
  };
  /// As it is in the storage. Errors: not_found; conflict when it is not what the caller saw at
  /// `base`, if there is one.
  Result<Sidecar> read_seen(std::string_view operation, const Located& file,
                            std::optional<std::uint64_t> base, const Call& call);
  Result<Sidecar> rewrite(const Located& file, const UpdateRequest& request, const Call& call);
  Result<IndexedEntry> put_changed(Work& work, const Located& file, Sidecar changed,
                                   const Call& call);
  Result<void> take_away(Work& work, const Located& file, const Call& call);

  Result<bool> recover_one(const Intent& intent, RecoveryReport& report, const Call& call);
  /// What is to be done about an intent of the dead now, where their requests may still arrive.
  enum class Watch : std::uint8_t { begins, goes_on, is_over };
  Result<Watch> watch_of(const Intent& intent, const Call& call);
  Result<void> begin_watch(const Intent& intent, std::uint64_t fence, const Call& call);
  /// Errors: busy; those of the index.
  Result<void> nothing_may_arrive(const FileId& id, const Call& call);
  void warn(std::string_view message, const Intent& intent, const Error& error) const;
  [[nodiscard]] MetadataStore& index() const { return place_.index; }
  [[nodiscard]] StorageBackend& storage() const { return place_.storage; }
  [[nodiscard]] Call grace() const;

  const FileSettings settings_;
  LockManager& locks_;
  const files::Place place_;
  files::InFlight in_flight_;
  files::Presence presence_;
  files::Capacity capacity_;

  std::atomic<bool> recovered_{false};
  files::InFlight recovering_;  // one at a time, under no id
  files::Unsettled unsettled_;
};

}  // namespace artcache
