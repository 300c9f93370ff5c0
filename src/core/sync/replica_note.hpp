// SPDX-License-Identifier: Apache-2.0
// How far a replica is and what it could not apply, as the text of a note in its index: the
// position in the first line, a dead letter in each further one.
#pragma once

#include <artcache/follower.hpp>

namespace artcache::sync {

struct ReplicaNote {
  std::string source;  ///< whose copy it is
  Position position;   ///< epoch 0: it has not got that far
  std::vector<DeadLetter> dead;

  /// The letter of a key; null when there is none.
  [[nodiscard]] const DeadLetter* find(std::string_view key) const;
  void forget(std::string_view key);
  /// Replaces the letter of that key. Errors: no_space.
  Result<void> bury(DeadLetter letter);
};

std::string to_text(const ReplicaNote& note);
/// An empty text is an empty note. Errors: corrupt.
Result<ReplicaNote> parse_note(std::string_view text);

}  // namespace artcache::sync
