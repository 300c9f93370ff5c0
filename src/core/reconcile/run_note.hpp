// SPDX-License-Identifier: Apache-2.0
// What a full rebuild leaves in the index for the one after it, should it be cut short.
#pragma once

#include <artcache/timestamp.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace artcache::reconcile {

/// The name of the note in the index (IndexWriter::set_note).
inline constexpr std::string_view kUnfinishedNote = "unfinished_full_rebuild";

/// A full rebuild that began, and did not end. Entries made fresh since then need not be opened
/// again: `1 <microseconds> <folder>`.
struct UnfinishedRun {
  Timestamp started_at;
  std::string folder;
};
std::string encode(const UnfinishedRun& run);
/// Nothing for a text that is none, such as one of a newer program: then all is read again.
std::optional<UnfinishedRun> decode_unfinished(std::string_view text);

}  // namespace artcache::reconcile
