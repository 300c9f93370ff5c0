// SPDX-License-Identifier: Apache-2.0
// How far a replica is and what it could not apply, as the text of a note in its index: the
// position in the first line, a dead letter in each further one.
#pragma once

#include <artcache/follower.hpp>

namespace artcache::sync {

/// The name of the note.
inline constexpr std::string_view kReplicaNote = "follow";

struct ReplicaNote {
  std::string source;  ///< whose copy it is
  Position position;   ///< epoch 0: it has not got that far
  std::vector<DeadLetter> dead;

  /// The letter of a key; null when there is none.
  [[nodiscard]] const DeadLetter* find(std::string_view key) const;
  void forget(std::string_view key);
  /// Replaces the letter of that key; one of a comparison leaves the seq of the same record.
  /// Errors: no_space.
  Result<void> bury(DeadLetter letter);
};

std::string to_text(const ReplicaNote& note);
/// Whether a replica that stands there sees everything up to `wanted`.
/// Errors: unavailable (not yet), gone (it never will).
Result<void> check_reached(const Position& position, const Position& wanted);
/// An empty text is an empty note. Errors: corrupt.
Result<ReplicaNote> parse_note(std::string_view text);

}  // namespace artcache::sync
