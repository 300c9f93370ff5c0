// SPDX-License-Identifier: Apache-2.0
// The index in PostgreSQL: `postgresql://…/database?prefix=…`.
#pragma once

#include <artcache/backends.hpp>
#include <artcache/lock_manager.hpp>
#include <artcache/metadata_store.hpp>
#include <artcache/url.hpp>
#include <condition_variable>
#include <mutex>
#include <string>

#include "backends/postgres/head.hpp"
#include "backends/postgres/link.hpp"
#include "backends/postgres/schema.hpp"
#include "backends/postgres/seen_locks.hpp"
#include "backends/postgres/writer.hpp"

namespace artcache::postgres {

struct IndexOptions {
  sql::PostgresOptions connection;
  std::string prefix;
  LogRetention retention;
  std::size_t connections_most = 16;
  bool create = true;  ///< false: what is not there is not_found
  std::string owners;  ///< folder for the kernel locks of local holders
};

/// Opens or makes the index, or adopts the table of the original system. Errors: those of
/// sql::open_postgres(), not_found (with create off), unsupported (a newer schema),
/// invalid_argument (a right is missing).
Result<std::unique_ptr<MetadataStore>> open_index(const IndexOptions& options, const Deps& deps,
                                                  const Call& call);

/// The same from an address. Parameters: prefix, create, connections, log_rows, log_bytes, log_age,
/// owners, and what libpq calls sslmode and so on.
Result<std::unique_ptr<MetadataStore>> open_index(const Url& url, const Deps& deps,
                                                  const Call& call);

/// Makes the tables of this version of artcache. Errors: as above.
Result<Migrated> migrate_index(const Url& url, const Deps& deps, const Call& call);

/// Wakes those who wait for the head to move. One of them at a time listens to the server for all.
class HeadWatch {
 public:
  HeadWatch(Links& links, const Names& names) : links_(links), names_(names) {}
  void moved(std::uint64_t seq);
  /// Returns when the head may have moved past `seq`, or after a moment, or when the call ends.
  void wait(std::uint64_t seq, const Call& call, const Clock& clock);

 private:
  void listen(std::uint64_t seq, const Call& call, const Clock& clock);

  Links& links_;
  const Names& names_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::uint64_t seq_ = 0;                         // guarded by mutex_
  std::uint64_t heard_ = 0;                       // notifications; guarded by mutex_
  bool listening_ = false;                        // guarded by mutex_
  std::unique_ptr<sql::PostgresConnection> ear_;  // the listener's
};

class Index final : public MetadataStore, public LockStore {
 public:
  Index(IndexOptions options, Names names, const Deps& deps);

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
  Result<LockRows> likely_lock_rows(std::string_view element, const Call& call) override;
  Result<void> change_locks(std::string_view element, const Decide& decide, Durability durability,
                            const Call& call) override;
  [[nodiscard]] std::string owners_path() const override;

 private:
  /// Runs `read` in a transaction of one moment, whose head it is given; once more on a fresh
  /// connection when the one at hand turns out to be dead before it has shown anything.
  using Read = std::function<Result<void>(sql::PostgresConnection&, const HeadRow&)>;
  Result<void> reading(const Read& read, const Call& call);
  /// Reads a large result through a cursor, a batch at a time; `row` reads one row, `batch` ends
  /// each batch.
  Result<void> stream(sql::PostgresConnection& connection, const std::string& select,
                      const std::function<Result<void>(const sql::Statement&)>& row,
                      const std::function<Result<void>()>& batch, const Call& call);
  /// Runs one statement that writes, under a fence.
  using Bind = std::function<void(sql::Statement&)>;
  Result<void> write_one(std::string_view text, const Bind& bind, std::uint64_t fence,
                         LockStore::Durability durability, const Call& call);

  /// The usual grant or release in one statement, by what was seen last. False where it is another
  /// change, or something else is there now: then nothing was done.
  Result<bool> change_as_seen(std::string_view element, const Decide& decide, Durability durability,
                              const Call& call);

  const IndexOptions options_;
  const Names names_;
  const Deps deps_;
  Links links_;
  HeadWatch watch_;
  Writer writer_;
  const std::string find_text_;
  SeenLocks seen_locks_;
  const UsualLocks usual_locks_;
};

}  // namespace artcache::postgres
