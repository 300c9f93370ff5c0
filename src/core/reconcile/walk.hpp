// SPDX-License-Identifier: Apache-2.0
// Over a storage once: listing -> which sidecars to open -> reading and decoding -> one taker.
// The stages run at the same time, with bounded queues between them.
#pragma once

#include <artcache/call.hpp>
#include <artcache/content.hpp>
#include <artcache/io_budget.hpp>
#include <artcache/metadata_store.hpp>
#include <artcache/storage_backend.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace artcache::reconcile {

class Session;

/// Sidecars in one reading, and changes in one transaction.
inline constexpr std::size_t kChunk = 1000;

/// A sidecar that is to be opened.
struct Wanted {
  std::string path;
  std::optional<ScannedFile> known = {};  ///< what it was when it was read last, without the path
};

/// One that was.
struct Opened {
  std::string path;
  std::optional<ScannedFile> known;
  Stamp stamp;                          ///< taken before it was read
  std::uint64_t text_hash = 0;          ///< attr::text_hash() of what was read
  Result<PreparedEntry> put = Error{};  ///< may be moved from, or swapped for another one
  /// With WalkPlan::drop_known: under an equal stamp its bytes are those that `known` tells of.
  /// `put` says nothing.
  bool dropped = false;
  bool misnamed = false;  ///< see is_misnamed()

  /// Of one that could be read.
  [[nodiscard]] const FileId& id() const { return dropped ? known->id : put->entry.id; }
  /// It says what it said when it was read last.
  [[nodiscard]] bool is_as_known() const {
    return known && put && known->id == put->entry.id && known->hash == put->hash;
  }
};

/// Its file is named after another id than the one that its text tells, which is the one that
/// counts. A name without an id is a name like any other.
[[nodiscard]] bool is_misnamed(std::string_view path, const FileId& id);
/// What to tell people of that.
[[nodiscard]] std::string misnamed_text(std::string_view path, const FileId& id);

struct Chunk {
  std::uint64_t as_of = 0;  ///< where the index stood before any of them was read
  std::uint64_t bytes = 0;
  std::vector<Opened> files;
};

/// Asked whether a sidecar is to be opened; `scanned` is nullptr where it was never read.
/// Called from several threads at once.
class WalkTaker {
 public:
  virtual ~WalkTaker() = default;
  /// Sidecars that a listing showed, each with what the scan table knows of it. Sets open[i] for
  /// those to be opened. From several threads at once.
  virtual Result<void> listed(std::span<const ListedFile> sidecars,
                              std::span<const std::optional<ScannedFile>> scanned,
                              std::vector<char>& open) = 0;
  /// Other files, in a walk over all of them. From several threads at once.
  virtual void other_files(std::span<const ListedFile> files) { (void)files; }
  /// From several threads at once.
  virtual void not_seen(const ListProblem& problem) = 0;
  /// On the thread of walk(), as all below. What is left of the chunk serves for another one.
  virtual Result<void> opened(Chunk& chunk) = 0;
  /// A safe point, a few times a second.
  virtual Result<void> pause() = 0;
};

using ScanLookup = std::function<Result<std::vector<std::optional<ScannedFile>>>(
    std::span<const std::string_view> paths, const Call& call)>;

struct WalkPlan {
  StorageBackend& storage;
  ChangeLog& log;
  ScanLookup scanned;  ///< empty: nothing is known
  ListRequest list = {};
  std::uint64_t size_most = 0;
  /// A sidecar whose stamp and bytes are as they were is not decoded again; only that is told.
  bool drop_known = false;
  IoBudget* budget = nullptr;
  /// For read_chunk() on the one thread of an operation: its lease is kept while the budget makes
  /// it wait. In a walk the thread of the taker keeps it.
  Session* session = nullptr;
  const Clock* clock = &system_clock();
};

/// Errors: those of the storage, the index, and the taker.
Result<void> walk(const WalkPlan& plan, WalkTaker& taker, const Call& call);

/// Reads and decodes these sidecars. Errors: timed_out, cancelled, unavailable (the index); what
/// is wrong with one sidecar stands in its Opened. The buffers of a chunk that is `used` up serve
/// again.
Result<Chunk> read_chunk(const WalkPlan& plan, std::vector<Wanted> wanted, const Call& call,
                         Chunk used = {});

}  // namespace artcache::reconcile
