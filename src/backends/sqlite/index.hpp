// SPDX-License-Identifier: Apache-2.0
// The index in SQLite: `sqlite:///path.db?prefix=…` and, on a private temporary file, `mem:`.
#pragma once

#include <artcache/backends.hpp>
#include <artcache/lock_manager.hpp>
#include <artcache/metadata_store.hpp>
#include <artcache/url.hpp>
#include <condition_variable>
#include <mutex>
#include <string>

#include "backends/sqlite/head.hpp"
#include "backends/sqlite/schema.hpp"
#include "backends/sqlite/writer.hpp"
#include "sql/pool.hpp"

namespace artcache::sqlite {

struct IndexOptions {
  std::string path;
  std::string prefix;
  std::string vfs;      ///< of SQLite; tests cut its power
  bool durable = true;  ///< false: no fsync, for a file that nobody needs after a crash
  bool delete_on_close = false;
  bool create = true;  ///< false: what is not there is not_found
  std::string boot;    ///< the run of the machine; tests have machines that stop
  LogRetention retention;
  std::size_t readers_most = 16;
};

/// Opens or makes the index. Errors: not_found (with create off), corrupt (no database, damaged),
/// unsupported (a newer schema, a network file system), unavailable (no permission, no such
/// folder), timed_out.
Result<std::unique_ptr<MetadataStore>> open_index(const IndexOptions& options, const Deps& deps,
                                                  const Call& call);

/// The same from an address. Parameters: prefix, create and sync (on, off), log_rows, log_bytes,
/// log_age.
Result<std::unique_ptr<MetadataStore>> open_index(const Url& url, const Deps& deps,
                                                  const Call& call);

/// Makes the tables of this version of artcache. Errors: not_found (no such file), and as above.
Result<Migrated> migrate_index(const Url& url, const Deps& deps, const Call& call);

/// Wakes those who wait for the head to move.
class HeadWatch {
 public:
  void moved(std::uint64_t seq);
  /// Returns when the head was seen past `seq`, or after `pause`, or when `stop` is set.
  void wait(std::uint64_t seq, std::chrono::nanoseconds pause, const std::stop_token& stop);

 private:
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::uint64_t seq_ = 0;  // guarded by mutex_
};

class Index final : public MetadataStore, public LockStore {
 public:
  using Connect = Writer::Connect;
  struct Connections {
    Connect reading, writing;                ///< further ones
    std::unique_ptr<sql::Connection> first;  ///< for writing
  };
  Index(IndexOptions options, Names names, const Deps& deps, Connections connections, Peers peers);
  /// Notes that nobody has it open any more, if that is so.
  ~Index() override;

  /// To be called once, before anything else. Marks the index suspect when the machine stopped
  /// while somebody had it open for writing: what was on its way to the storage may be lost.
  Result<void> open(const Call& call);

  [[nodiscard]] std::string describe() const override;
  [[nodiscard]] LockStore* locks() override { return this; }

  Result<std::optional<IndexedEntry>> find(const FileId& id, const Call& call) override;
  Result<std::vector<std::optional<RowBrief>>> briefs(std::span<const FileId> ids,
                                                      const Call& call) override;
  Result<std::string> note(std::string_view name, const Call& call) override;
  Result<EntryPage> page(const PageRequest& request, const Call& call) override;
  Result<EntryPage> search(const SearchRequest& request, const Call& call) override;
  Result<Position> scan(const std::function<Result<void>(std::span<const KeyAndHash>)>& sink,
                        const Call& call) override;

  Result<ApplyResult> apply(const ApplyRequest& request, const Call& call) override;
  Result<std::unique_ptr<BulkLoad>> bulk_load(std::uint64_t expected_rows, std::uint64_t fence,
                                              const Call& call) override;
  Result<std::vector<std::optional<ScannedFile>>> find_scanned(
      std::span<const std::string_view> paths, const Call& call) override;
  Result<std::vector<ScannedFile>> scanned_paths_of(const FileId& id, const Call& call) override;
  Result<void> scan_table(const ScanRange& range,
                          const std::function<Result<void>(std::span<const ScannedFile>)>& sink,
                          const Call& call) override;
  Result<void> add_intent(const Intent& intent, const Call& call) override;
  Result<std::vector<Intent>> intents(const Call& call) override;
  Result<void> set_note(std::string_view name, std::string_view text, std::uint64_t fence,
                        const Call& call) override;
  Result<void> drop_notes(std::string_view prefix, std::uint64_t fence, const Call& call) override;
  Result<void> set_suspect(std::string_view reason, std::uint64_t fence, const Call& call) override;
  Result<void> trust(const IndexHead& seen, std::uint64_t fence, const Call& call) override;

  Result<IndexHead> head(const Call& call) override;
  Result<LogSlice> read_after(const Position& position, std::uint32_t limit,
                              const Call& call) override;
  Result<IndexHead> wait_for(std::uint64_t seq, const Call& call) override;
  Result<Position> snapshot(const std::function<Result<void>(std::span<const Record>)>& sink,
                            const Call& call) override;
  Result<std::vector<BucketDigest>> bucket_digests(unsigned bits, Position* position,
                                                   const Call& call) override;

  Result<LockRows> lock_rows(std::string_view element, const Call& call) override;
  Result<void> change_locks(std::string_view element, const Decide& decide, Durability durability,
                            const Call& call) override;
  [[nodiscard]] std::string owners_path() const override;

 private:
  /// A connection with a read transaction open on it.
  struct Reading;
  Result<Reading> begin_reading(const Call& call);
  void note_clean_close();

  const IndexOptions options_;
  const Names names_;
  const Deps deps_;
  sql::Pool readers_;
  HeadWatch watch_;
  Peers peers_;
  Writer writer_;
  const std::string find_text_;
  bool opened_ = false;  // an unclean stop before has been noted
};

}  // namespace artcache::sqlite
