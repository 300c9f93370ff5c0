// SPDX-License-Identifier: Apache-2.0
// What becomes of an entry whose sidecar is gone, or tells of another file.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/reconcile/walk.hpp"

namespace artcache::reconcile {

/// What became of one sidecar.
enum class Settled : std::uint8_t {
  inserted,
  updated,
  unchanged,   ///< but fresh now
  moved,       ///< somebody else was quicker; what stands there is newer
  older,       ///< another sidecar tells of the same id, and is newer
  removed,     ///< the sidecar is gone or tells of another file, and the entry is gone
  replaced,    ///< likewise, but another sidecar of the same id has taken its place
  forgotten,   ///< the sidecar is gone, and no entry came from it
  unreadable,  ///< it says nothing; its entry, if any, was left alone
};

/// Of the sidecar that an entry names.
enum class Standing : std::uint8_t {
  may_tell,  ///< of that entry: it does, or nobody can see what it says
  gone,      ///< there is no such file for certain
  another,   ///< it tells of another file now, whatever the entry says
};

/// What the scan table is to know of a sidecar that was read.
ScannedFile scanned_of(const Opened& file);

/// An entry as it was at this revision, which must have been read before it was seen what has
/// become of its sidecar.
struct Gone {
  FileId id;
  std::uint64_t revision = 0;
  std::string path;  ///< of the sidecar that is gone; empty where it tells of another file
};

/// An entry that may name a sidecar which tells of another file.
struct Bereft {
  std::size_t file = 0;  ///< in the chunk
  FileId id;
};
/// Of the owners, one a file or none at all, and of what the scan table knew: to be asked before
/// the chunk is put, which may move it.
std::vector<Bereft> bereft_by(const Chunk& chunk, std::span<const FileId> owners);

/// Takes such entries out of the index, or lets another sidecar of their id take over. Errors:
/// those of index and storage; each entry is whole then, and all of it may be repeated.
struct Succession {
  const WalkPlan plan;  ///< to read other sidecars by
  MetadataStore& index;
  Freshness fresh;
  std::uint64_t fence = 0;  ///< 0: under none
  const Call& call;

  /// False for those that have moved since.
  [[nodiscard]] Result<std::vector<char>> remove(std::span<const Gone> gone) const;
  /// For a row that was read before its sidecar was seen to be gone, or has not changed since.
  /// Another sidecar of the id takes the place of the one that is gone, the newest first; without
  /// one the entry goes. Either way in one step: nobody sees the file disappear and come back. A
  /// sidecar that tells of another file stays in the scan table, which knows it by that.
  [[nodiscard]] Result<Settled> replace(const FileId& id, const RowBrief& row, Standing own) const;
  /// The same of those that do name such a sidecar; nothing for others. Where two sidecars of a
  /// chunk may be of one id, once the chunk was put.
  [[nodiscard]] Result<std::vector<std::optional<Settled>>> settle(std::span<const Bereft> entries,
                                                                   const Chunk& chunk) const;
};

}  // namespace artcache::reconcile
