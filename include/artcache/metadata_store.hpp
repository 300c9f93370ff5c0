// SPDX-License-Identifier: Apache-2.0
// The index: a row for every sidecar, the log of its changes, and the head that sums both up.
#pragma once

#include <artcache/call.hpp>
#include <artcache/content.hpp>
#include <artcache/export.hpp>
#include <artcache/file_entry.hpp>
#include <artcache/file_id.hpp>
#include <artcache/record.hpp>
#include <artcache/result.hpp>
#include <artcache/search_tokens.hpp>
#include <artcache/storage_backend.hpp>
#include <artcache/timestamp.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace artcache {

/// What one index knows of a row beside its content; outside hash, digest, log and replicas.
struct Freshness {
  Timestamp refreshed_at;  ///< `cache_updated_at`: when the sidecar was read last
  std::int32_t ttl_hours = 24;

  /// Strictly after the last moment of its life.
  [[nodiscard]] bool expired(Timestamp now) const {
    return now > refreshed_at + std::chrono::hours(ttl_hours);
  }
  friend bool operator==(const Freshness&, const Freshness&) = default;
};

/// One row. `revision` is the seq of the change that gave it its content.
struct IndexedEntry {
  FileEntry entry;
  ContentHash hash;
  std::uint64_t revision = 0;
  Freshness freshness;
};

/// The state that every commit moves. Read in one row, so its parts belong together.
struct IndexHead {
  Position position;
  std::uint64_t count = 0;       ///< entries
  std::uint64_t bytes = 0;       ///< sum of their file_size
  std::uint64_t fence = 0;       ///< minted last
  std::uint64_t generation = 0;  ///< of the tables that hold the rows; moved by a bulk load
  std::uint64_t oldest_seq = 1;  ///< the first change that the log still has
  std::uint32_t schema_reader = 0, schema_writer = 0;
  /// Empty while the index is trusted, else why it may not tell the truth.
  std::string suspect_reason;
};

// --- Reading ------------------------------------------------------------------------------------

/// All that are given must hold.
struct EntryFilter {
  std::optional<std::string> username = {}, content_type = {}, tag = {}, extension = {},
                             retention_policy = {};
  std::optional<std::string> filename = {};  ///< original_filename, exactly
  std::optional<std::uint64_t> size_least = {}, size_most = {};
  std::optional<Timestamp> created_from = {}, created_until = {};  ///< until: not included
  std::optional<Timestamp> expired_at =
      {};  ///< only entries whose freshness is over at that moment
};

enum class SortBy : std::uint8_t { created_at, updated_at, file_size, filename, relevance };
enum class SortOrder : std::uint8_t { descending, ascending };
struct PageRequest {
  EntryFilter filter = {};
  SortBy sort = SortBy::created_at;
  SortOrder order = SortOrder::descending;
  std::uint32_t limit = 100;
  /// Where an earlier page ended; survives changes of the index, at any depth at equal cost.
  /// Only with SortBy::created_at.
  std::string cursor = {};
  std::uint64_t offset = 0;  ///< or so many entries are skipped, at a cost that grows with them
};

struct SearchRequest {
  std::string query = {};
  MatchMode mode = MatchMode::words;
  EntryFilter filter = {};
  SortBy sort = SortBy::relevance;
  SortOrder order = SortOrder::descending;
  std::uint32_t limit = 100;
  std::uint64_t offset = 0;
};

enum class TotalKind : std::uint8_t { exact, lower_bound };

struct EntryPage {
  std::vector<IndexedEntry> entries;
  std::string next_cursor;  ///< empty at the end, and where cursors do not apply
  std::uint64_t total = 0;  ///< of all that match, on whatever page
  TotalKind total_kind = TotalKind::exact;
};

struct KeyAndHash {
  FileId id;
  ContentHash hash;
  std::uint64_t revision = 0;
  std::uint64_t file_size = 0;
  Freshness freshness;
};

/// What a comparison needs to know of one row.
struct RowBrief {
  ContentHash hash;
  std::uint64_t revision = 0;
  Timestamp updated_at;
  std::uint64_t file_size = 0;
  Freshness freshness;
  std::string sidecar_path;  ///< where the sidecar was found that gave it its content
};

inline constexpr std::uint32_t kPageMost = 1000;
/// Ranking, sorting and totals of a search cover so many of the newest matches.
inline constexpr std::uint32_t kSearchWindow = 10'000;

/// Safe to call from any thread. Every answer is of one moment.
class ARTCACHE_EXPORT EntryReader {
 public:
  virtual ~EntryReader() = default;

  /// Nothing when the index has no such row. Errors: unavailable, timed_out, corrupt.
  virtual Result<std::optional<IndexedEntry>> find(const FileId& id, const Call& call) = 0;
  /// One for each id, in their order, at one moment; nothing where there is no such row.
  /// Errors: unavailable, timed_out, cancelled, corrupt.
  virtual Result<std::vector<std::optional<RowBrief>>> briefs(std::span<const FileId> ids,
                                                              const Call& call) = 0;
  /// Errors: invalid_argument (limit above kPageMost, a cursor that is none), unavailable,
  /// timed_out.
  virtual Result<EntryPage> page(const PageRequest& request, const Call& call) = 0;
  /// Finds what a plain scan with the same tokenizer finds. An id is matched exactly, whatever the
  /// mode. A query without a word in it finds nothing. Errors: as page().
  virtual Result<EntryPage> search(const SearchRequest& request, const Call& call) = 0;
  /// What set_note() left under this name; empty when nothing did. Errors: unavailable, timed_out.
  virtual Result<std::string> note(std::string_view name, const Call& call) = 0;
  /// All keys with their hashes at one position, in no order, in bounded batches. An error of
  /// `sink` ends it. Errors: unavailable, timed_out, cancelled, and those of `sink`.
  virtual Result<Position> scan(
      const std::function<Result<void>(std::span<const KeyAndHash>)>& sink, const Call& call) = 0;
};

// --- Writing ------------------------------------------------------------------------------------

/// One entry that shall be as given. `base` is the revision that it was compared with: 0 for "is
/// not there", nothing for "whatever is there".
struct EntryChange {
  enum class Kind : std::uint8_t {
    put,  ///< content and freshness; equal content is only made fresh
    remove,
    freshen,  ///< freshness alone: neither log nor digest move
  };
  Kind kind = Kind::put;
  FileId id;
  PreparedEntry put;    ///< for Kind::put
  Freshness freshness;  ///< for put and freshen
  std::optional<std::uint64_t> base;
  /// Nothing may have happened to the entry after this seq, its removal included: what was read
  /// from the storage at that position is not older than what the index holds, or it is `moved`.
  /// A change that the log has forgotten counts as one that happened.
  std::optional<std::uint64_t> as_of;
};

enum class ChangeOutcome : std::uint8_t {
  inserted,
  updated,
  removed,
  unchanged,  ///< it was so already (freshness may have moved)
  moved,      ///< it is no longer what `base` or `as_of` say: nothing was done, read again
  older,      ///< its twin is newer (TwinRule::newest_wins): nothing was done
};

/// Two sidecars may tell of one id. What becomes of a put that was read under another path than
/// the one that gave the row its content, and says something else?
enum class TwinRule : std::uint8_t {
  last_wins,    ///< it is done
  newest_wins,  ///< it is done if its updated_at is newer, or the same and its path comes first
};

/// One row of the scan table: what was found under a path when it was last read.
struct ScannedFile {
  std::string path;
  Stamp stamp;  ///< all-zero mark: unsettled, to be read again
  FileId id;
  ContentHash hash;
  Timestamp updated_at;
  std::uint64_t text_hash = 0;  ///< of its bytes, as they were decoded; 0: not known
};

/// A part of the scan table.
struct ScanRange {
  std::string_view folder = {};  ///< what lies below it; empty: everything
  /// What comes behind this path in the order of the store; it need not stand there any more, but
  /// must lie below the folder. Empty: from the beginning.
  std::string_view after = {};
};

/// What an upload or delete left to do, should it be cut short.
struct Intent {
  enum class Operation : std::uint8_t { upload, remove, update };
  FileId id;
  std::string path;
  Operation operation = Operation::upload;
  Timestamp begun_at;
};

/// All of it happens, or nothing.
struct ApplyRequest {
  std::span<const EntryChange> changes = {};
  std::uint64_t fence = 0;                    ///< of the lock under which this runs; 0: under none
  std::span<const ScannedFile> scanned = {};  ///< rows of the scan table to put
  std::span<const std::string_view> unscanned = {};  ///< paths to take out of it
  /// Intents that end with it; one whose change comes out as `moved` stays, its work is not done.
  std::span<const FileId> finished_intents = {};
  TwinRule twins = TwinRule::last_wins;  ///< the paths are those of `scanned`
};

struct ApplyResult {
  Position position;                    ///< after it
  std::vector<ChangeOutcome> outcomes;  ///< one a change
};

inline constexpr std::size_t kApplyMost = 2000;
inline constexpr std::size_t kNoteMost = 1024 * std::size_t{1024};

/// Fills an index that is nearly empty much faster than apply() could. Readers see the old rows
/// until finish(); writers go on and what they wrote meanwhile wins. For one thread at a time.
/// Destroyed without finish(), or killed, it leaves the index as it was; what was added is kept
/// aside, and the next bulk load of the same index goes on with it. Must not outlive its index.
class ARTCACHE_EXPORT BulkLoad {
 public:
  struct Row {
    PreparedEntry put;
    Freshness freshness;
    ScannedFile scanned;
  };
  virtual ~BulkLoad() = default;
  /// How many rows an earlier load has left for this one.
  [[nodiscard]] virtual std::uint64_t resumed_rows() const = 0;
  /// The scan rows that came with the rows an earlier load has left, as
  /// IndexWriter::find_scanned() tells those of the index. From any thread.
  virtual Result<std::vector<std::optional<ScannedFile>>> find_scanned(
      std::span<const std::string_view> paths, const Call& call) = 0;
  /// Of two rows with one id the newer updated_at wins; of two from one path the one added last.
  /// Errors: lease_lost, no_space, unavailable,
  /// timed_out, cancelled; afterwards only destruction is useful.
  virtual Result<void> add(std::span<const Row> rows, const Call& call) = 0;
  /// Switches to the new rows in one commit, logged as one reset. Errors: as add().
  virtual Result<Position> finish(const Call& call) = 0;
  /// Throws away what was added, also what an earlier load has left. Errors: as add().
  virtual Result<void> discard(const Call& call) = 0;
};

/// Safe to call from any thread. What a call reports as done is durable.
class ARTCACHE_EXPORT IndexWriter {
 public:
  virtual ~IndexWriter() = default;

  /// At most kApplyMost changes with their log rows and the head, in one transaction; concurrent
  /// calls share commits. Errors: lease_lost (the fence is not registered any more; nothing was
  /// changed), no_space, invalid_argument, unavailable, timed_out, cancelled.
  virtual Result<ApplyResult> apply(const ApplyRequest& request, const Call& call) = 0;

  /// Errors: conflict (the index holds more than a tenth of `expected_rows`), lease_lost.
  virtual Result<std::unique_ptr<BulkLoad>> bulk_load(std::uint64_t expected_rows,
                                                      std::uint64_t fence, const Call& call) = 0;

  /// The scan rows of these paths, in their order; nothing where there is none.
  virtual Result<std::vector<std::optional<ScannedFile>>> find_scanned(
      std::span<const std::string_view> paths, const Call& call) = 0;
  /// Every path under which the sidecar of this id was found.
  virtual Result<std::vector<ScannedFile>> scanned_paths_of(const FileId& id, const Call& call) = 0;
  /// Those rows of the scan table, in bounded batches. Their order is the store's own (by path, or
  /// folder by folder) and the same at every call, whatever has been written in between: who has
  /// come to a path goes on behind it. An error of `sink` ends it. Errors: unavailable, timed_out,
  /// cancelled, corrupt, and those of `sink`.
  virtual Result<void> scan_table(
      const ScanRange& range, const std::function<Result<void>(std::span<const ScannedFile>)>& sink,
      const Call& call) = 0;

  /// Durable before the work it announces begins; taken away by the apply() that ends it.
  virtual Result<void> add_intent(const Intent& intent, const Call& call) = 0;
  virtual Result<std::vector<Intent>> intents(const Call& call) = 0;

  /// Keeps a text under a name, for whoever works on this index next; an empty text takes it away.
  /// A kill does not lose it, a power cut may until the next durable change. Errors:
  /// invalid_argument (a name or text above kNoteMost), lease_lost, no_space, unavailable,
  /// timed_out, cancelled.
  virtual Result<void> set_note(std::string_view name, std::string_view text, std::uint64_t fence,
                                const Call& call) = 0;

  /// Takes away all notes whose names begin so. Errors: as set_note().
  virtual Result<void> drop_notes(std::string_view prefix, std::uint64_t fence,
                                  const Call& call) = 0;

  /// Says why the index may be wrong; an empty reason says it is trusted again.
  virtual Result<void> set_suspect(std::string_view reason, std::uint64_t fence,
                                   const Call& call) = 0;
  /// Trusts the index again, unless more was found against it since `seen` was its head: it stays
  /// suspect when the reason is another one by now, or the log has had a reset.
  virtual Result<void> trust(const IndexHead& seen, std::uint64_t fence, const Call& call) = 0;
};

// --- The log ------------------------------------------------------------------------------------

/// One change. Its position is the one after it.
struct LogRow {
  enum class Kind : std::uint8_t {
    put,
    remove,
    reset,  ///< more than can be listed: compare or take a snapshot
  };
  Position position;
  Kind kind = Kind::put;
  Record record;  ///< without payload for remove, empty for reset
  Timestamp committed_at;
};

struct LogSlice {
  std::vector<LogRow> rows;
  IndexHead head;
};

/// The digest and the number of all records whose hash(key) begins with the bits of `bucket`.
struct BucketDigest {
  Digest digest;
  std::uint64_t count = 0;
};

/// Safe to call from any thread.
class ARTCACHE_EXPORT ChangeLog {
 public:
  virtual ~ChangeLog() = default;

  virtual Result<IndexHead> head(const Call& call) = 0;

  /// Up to `limit` rows behind a position, in commit order, no seq left out; empty at the head.
  /// Errors: gone (another epoch, ahead of the head, trimmed away, or a digest that differs from
  /// the one after that seq: the message says which), unavailable, timed_out.
  virtual Result<LogSlice> read_after(const Position& position, std::uint32_t limit,
                                      const Call& call) = 0;

  /// Returns when the head is past `seq`, at once if it is: within a millisecond for commits of
  /// this process, 20 ms for those of others. Errors: timed_out, cancelled, unavailable.
  virtual Result<IndexHead> wait_for(std::uint64_t seq, const Call& call) = 0;

  /// Every record as of one position, in bounded batches, while writers go on.
  virtual Result<Position> snapshot(
      const std::function<Result<void>(std::span<const Record>)>& sink, const Call& call) = 0;

  /// Digests of 2^bits buckets of hash(key) at one position; `bits` from 0 to 16.
  virtual Result<std::vector<BucketDigest>> bucket_digests(unsigned bits, Position* position,
                                                           const Call& call) = 0;
};

class LockStore;

/// One index with all its sides.
class ARTCACHE_EXPORT MetadataStore : public EntryReader, public IndexWriter, public ChangeLog {
 public:
  /// The address without secrets, for people.
  [[nodiscard]] virtual std::string describe() const = 0;
  /// Where the locks on this index are kept (lock_manager.hpp), for as long as it lives; nullptr
  /// where it keeps none.
  [[nodiscard]] virtual LockStore* locks() { return nullptr; }
};

}  // namespace artcache
