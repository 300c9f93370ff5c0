// SPDX-License-Identifier: Apache-2.0
// Keeps a replica in step with the log of an index, and proves it by the digest.
#pragma once

#include <artcache/backends.hpp>
#include <artcache/call.hpp>
#include <artcache/export.hpp>
#include <artcache/metadata_store.hpp>
#include <artcache/read_bound.hpp>
#include <artcache/record.hpp>
#include <artcache/result.hpp>
#include <artcache/timestamp.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace artcache {

// --- Where a follower reads ---------------------------------------------------------------------

struct KeyHash {
  std::string key;
  ContentHash hash;
};
using KeySink = std::function<Result<void>(std::span<const KeyHash>)>;
using RecordSink = std::function<Result<void>(std::span<const Record>)>;

/// The log of one index, here or elsewhere. Safe to call from any thread.
class ARTCACHE_EXPORT LogSource {
 public:
  virtual ~LogSource() = default;
  /// For people and for the name of what is kept about it; without secrets.
  [[nodiscard]] virtual std::string name() const = 0;
  virtual Result<IndexHead> head(const Call& call) = 0;
  /// As ChangeLog::read_after(); when there is nothing yet it waits for it, not longer than
  /// `patience`, and may then answer without a row.
  virtual Result<LogSlice> read_after(const Position& position, std::uint32_t limit,
                                      std::chrono::nanoseconds patience, const Call& call) = 0;
  /// As ChangeLog::snapshot().
  virtual Result<Position> snapshot(const RecordSink& sink, const Call& call) = 0;
  /// As ChangeLog::bucket_digests().
  virtual Result<std::vector<BucketDigest>> bucket_digests(unsigned bits, Position* position,
                                                           const Call& call) = 0;
  /// Of these buckets only, which stand in ascending order; picked out of all unless overridden.
  virtual Result<std::vector<BucketDigest>> some_digests(unsigned bits,
                                                         std::span<const std::uint32_t> wanted,
                                                         const Call& call);
  /// Keys and hashes of all records in some of 2^bits buckets. `buckets` stand in ascending order.
  virtual Result<void> keys(unsigned bits, std::span<const std::uint32_t> buckets,
                            const KeySink& sink, const Call& call) = 0;
  /// One for each key, in their order; nothing where there is none.
  virtual Result<std::vector<std::optional<Record>>> records(std::span<const std::string> keys,
                                                             const Call& call) = 0;
};

/// Whether a log that cannot vouch for this position once did: its index was put back to what it
/// was earlier, and nothing tells what is in the storage since.
ARTCACHE_EXPORT bool was_rewound(const IndexHead& head, const Position& position);

/// The log of an index that is open here, which must outlive it, and was opened with these `deps`.
/// An index that was rewound is marked as suspect when that shows.
ARTCACHE_EXPORT std::unique_ptr<LogSource> make_log_source(MetadataStore& index,
                                                           const Deps& deps = {});

// --- What follows -------------------------------------------------------------------------------

/// A record that could not be applied. The replica keeps what it had under that key. It is none any
/// more when a later change of the key can be applied, when the source tells the same record whole,
/// and when a comparison has made the key good.
struct DeadLetter {
  std::uint64_t seq = 0;
  std::string key;
  /// What the source has, and what the replica has in its place; nothing: none.
  std::optional<ContentHash> hash, kept;
  std::string reason;
  bool dropped = false;  ///< somebody has said that nobody is to be told of it; it is tried still
};

/// How far a replica is.
struct Standing {
  Position source;  ///< epoch 0: it has never held all of this source
  Digest digest;    ///< of what the replica holds of this source
  std::uint64_t count = 0;
  std::vector<DeadLetter> dead;
};

/// What takes the changes of one source. For one thread at a time. Everything it is told may be
/// told again after a crash: doing it twice must be as good as once.
class ARTCACHE_EXPORT ReplicaSink {
 public:
  virtual ~ReplicaSink() = default;
  virtual Result<Standing> standing(const Call& call) = 0;
  /// Applies rows in their order; afterwards the replica stands at the position of the last one.
  /// A record that cannot be applied joins the dead letters, and its key leaves them when a later
  /// one can. One that is among them already is no news.
  /// Errors: no_space when there are more than kDeadLettersMost, unavailable, …
  virtual Result<void> apply(std::span<const LogRow> rows, const Call& call) = 0;
  /// Puts records and takes keys away, as they were at the source at some moment after the position
  /// the replica stands at, which does not move.
  virtual Result<void> mend(std::span<const Record> put, std::span<const std::string> removed,
                            const Call& call) = 0;
  /// The replica stands there now, whatever it holds.
  virtual Result<void> stand_at(const Position& position, const Call& call) = 0;
  /// Fills an empty replica with a snapshot, and stands at its position. An answer of epoch 0: what
  /// an earlier one has left is there now and to be compared. An error may leave some records, or
  /// keep them for the next time; it leaves no position. By mend() unless overridden.
  virtual Result<Position> fill(LogSource& source, const Call& call);
  virtual Result<std::vector<BucketDigest>> bucket_digests(unsigned bits, const Call& call) = 0;
  /// As LogSource::keys(). Both leave the dead letters out: they tell what is there.
  virtual Result<void> keys(unsigned bits, std::span<const std::uint32_t> buckets,
                            const KeySink& sink, const Call& call) = 0;
};
inline constexpr std::size_t kDeadLettersMost = 1000;

/// For whoever writes a sink: the entry that a record stands for. It is believed only when its
/// payload has the hash it came with and speaks of its key. Errors: as refuses_record() knows them.
ARTCACHE_EXPORT Result<PreparedEntry> believe(const Record& record);
/// Whether a record cannot be applied whatever is tried: then it joins the dead letters.
ARTCACHE_EXPORT bool refuses_record(const Error& error);
/// Of several changes of a key only the last one is left to see afterwards: the last of each, in
/// their order, without resets.
ARTCACHE_EXPORT std::vector<const LogRow*> last_of_each(std::span<const LogRow> rows);
/// Whether the source had nothing under that key before this put; `before` is its digest then.
ARTCACHE_EXPORT bool adds_record(const LogRow& row, const Digest& before);

/// An index that is a copy of another one and is written by nobody else. Its position and its dead
/// letters are kept in a note of it, which a rebuild takes away that leaves no difference between
/// the index and a storage: it is one of its own then. `source` tells copies of several sources
/// apart. The index must outlive it.
ARTCACHE_EXPORT std::unique_ptr<ReplicaSink> make_replica(MetadataStore& index, std::string source,
                                                          const Deps& deps);

/// An index as the copy that make_replica() keeps.
struct ReplicaState {
  std::string source;  ///< whose copy it is, as make_replica() was told
  Standing standing;
  /// It holds what its source held at that position, but for its dead letters. Not so for a moment
  /// whenever changes come in.
  bool whole = false;
};
/// Nothing where the index is no copy. Errors: corrupt, and those of the index.
ARTCACHE_EXPORT Result<std::optional<ReplicaState>> replica_state(MetadataStore& index,
                                                                  const Call& call);

// --- The follower -------------------------------------------------------------------------------

enum class FollowState : std::uint8_t {
  starting,  ///< it has not reached its source yet
  copying,   ///< a new replica takes a snapshot
  tailing,   ///< it applies what the log tells
  mending,   ///< the log could not tell, or the digests differ: the differences are looked for
  waiting,   ///< the source or the replica does not answer; trying goes on
};
/// The wire name: "starting", …
ARTCACHE_EXPORT std::string_view to_string(FollowState state);

/// How much longer than it waits for news a source may take to answer.
inline constexpr std::chrono::milliseconds kAnswerMost{5'000};

struct FollowSettings {
  std::uint32_t batch = 1000;  ///< rows applied in one transaction
  /// Of one long poll. An answer vouches for so long, and kAnswerMost more, that nothing is
  /// missing.
  std::chrono::milliseconds patience{5'000};
  std::chrono::milliseconds pause_least{100}, pause_most{30'000};  ///< between tries after errors
  /// How often the digests are compared with those of the source although nothing seems wrong.
  std::chrono::milliseconds audit_interval{3'600'000};
};

struct FollowStatus {
  FollowState state = FollowState::starting;
  Position position;      ///< the source's, as of which the replica is
  Position source;        ///< where the source was when it was last heard of
  std::uint64_t lag = 0;  ///< changes that it is behind that, or behind what hear() has told
  /// Proven to be where the source is, dead letters excepted; the source has answered since the
  /// last error and not longer ago than FollowSettings::patience and kAnswerMost.
  bool in_step = false;
  /// Since it last was in step, or since the follower was made; 0 while it is in step.
  std::chrono::nanoseconds age{0};
  /// The replica's digest, with its dead letters made good, was that of `position` when both were
  /// last compared.
  bool proven = false;
  std::optional<Timestamp> proven_at;
  /// Why the source may not hold what it should, as it said when it was last read; empty: it does.
  std::string source_suspect;
  std::string last_error;
  std::uint64_t applied = 0, snapshots = 0, mendings = 0, mended = 0, failures = 0;
  std::size_t dead_letters = 0;  ///< without those that were dropped
  bool running = false;          ///< somebody is in run()
};

/// Follows one source into one replica, whatever happens to either: a source that was rewound,
/// restored or made anew, a log that was trimmed, a record that cannot be applied, a source or a
/// replica that does not answer. The replica serves what it has meanwhile, and status() says how
/// old that is. Dead letters are fetched from the source once more, at once and then later and
/// later, at least with every audit: a log may be damaged where the index is not.
/// Safe to call from any thread; one run() at a time.
class ARTCACHE_EXPORT Follower {
 public:
  /// Both must outlive it.
  Follower(LogSource& source, ReplicaSink& replica, FollowSettings settings, const Deps& deps);
  ~Follower();
  Follower(const Follower&) = delete;
  Follower& operator=(const Follower&) = delete;

  /// Until the call ends; an error of source or replica is tried again, later and later.
  Result<void> run(const Call& call);
  /// Until the replica is proven to be where the source was when this began. Dead letters that are
  /// left then were tried once more.
  /// Errors: those of source and replica, each at its first time; corrupt when the digests differ
  /// after all differences were mended.
  Result<FollowStatus> catch_up(const Call& call);
  /// The source may have something new, as somebody has heard: a pause after an error ends, and a
  /// long poll that waits is asked again at once. Without it run() finds out by itself, later.
  void wake();
  /// The same, and the source is said to be at `seq` of `epoch` (both 0: nobody said where). Until
  /// it was asked itself, the replica counts as behind that. Nothing happens when the replica is
  /// there already.
  void hear(std::uint64_t epoch, std::uint64_t seq);
  [[nodiscard]] FollowStatus status() const;
  /// Waits until a read of the replica that begins then keeps the bound, dead letters excepted; not
  /// longer than the call lasts, and without waiting when it has no time left. Somebody must be in
  /// run(). Asks the source where it is when nothing newer is known. From any thread.
  /// Errors: unavailable (it does not by the end of the call), gone (`min_position` is of another
  /// log, or of what the source was before it was put back), cancelled, those of the source.
  Result<void> await(const ReadBound& bound, const Call& call);
  /// Somebody else has done something to the dead letters: afterwards status() and dead_letters()
  /// tell of it. Errors: busy (somebody is in run()), those of the replica.
  Result<void> look_at_dead(const Call& call);
  /// As of the last step, also those that were dropped.
  [[nodiscard]] std::vector<DeadLetter> dead_letters() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace artcache
