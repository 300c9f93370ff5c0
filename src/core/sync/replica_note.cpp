// SPDX-License-Identifier: Apache-2.0
#include "core/sync/replica_note.hpp"

#include <algorithm>
#include <charconv>

#include "util/hash.hpp"
#include "util/try.hpp"

namespace artcache::sync {
namespace {

constexpr std::size_t kReasonMost = 300;
constexpr std::string_view kNone = "-";

std::string text_of(const std::optional<ContentHash>& hash) {
  return hash ? to_string(*hash) : std::string(kNone);
}

/// Up to the next `end`, which is taken away with it; all of the rest when there is none.
std::string_view take(std::string_view& text, char end) {
  const std::size_t at = text.find(end);
  const std::string_view part = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  return part;
}

Error broken(std::string_view what) {
  return {Errc::corrupt, "follow: the note of how far this replica is: " + std::string(what)};
}

Result<std::optional<ContentHash>> parse_hash(std::string_view text) {
  if (text == kNone) return std::optional<ContentHash>();
  ContentHash hash;
  if (!util::parse_hex(text, hash.bytes)) return broken("a hash that is none");
  return std::optional(hash);
}

Result<DeadLetter> parse_letter(std::string_view line) {
  DeadLetter letter;
  const std::string_view seq = take(line, ' ');
  if (std::from_chars(seq.data(), seq.data() + seq.size(), letter.seq).ec != std::errc())
    return broken("a number that is none");
  ARTCACHE_TRY(letter.hash, parse_hash(take(line, ' ')));
  ARTCACHE_TRY(letter.kept, parse_hash(take(line, ' ')));
  letter.key = take(line, '\t');
  letter.reason = line;
  return letter;
}

/// Lines and fields are told apart by these.
std::string one_line(std::string_view text) {
  std::string out(text);
  std::ranges::replace_if(
      out, [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
  return out;
}

}  // namespace

const DeadLetter* ReplicaNote::find(std::string_view key) const {
  const auto at = std::ranges::find(dead, key, &DeadLetter::key);
  return at == dead.end() ? nullptr : &*at;
}

void ReplicaNote::forget(std::string_view key) {
  std::erase_if(dead, [&](const DeadLetter& letter) { return letter.key == key; });
}

Result<void> ReplicaNote::bury(DeadLetter letter) {
  letter.key = one_line(letter.key);
  letter.reason = one_line(letter.reason).substr(0, kReasonMost);
  if (const DeadLetter* const known = find(letter.key);
      known != nullptr && known->hash == letter.hash && letter.seq == 0)
    letter.seq = known->seq;
  forget(letter.key);
  if (dead.size() >= kDeadLettersMost)
    return Error{Errc::no_space,
                 "follow: " + std::to_string(kDeadLettersMost) +
                     " records could not be applied, the last one because: " + letter.reason};
  dead.push_back(std::move(letter));
  return {};
}

std::string to_text(const ReplicaNote& note) {
  std::string text = to_string(note.position) + " " + one_line(note.source) + "\n";
  for (const DeadLetter& letter : note.dead)
    text.append(std::to_string(letter.seq) + " " + text_of(letter.hash) + " " +
                text_of(letter.kept) + " " + letter.key + "\t" + letter.reason + "\n");
  return text;
}

Result<ReplicaNote> parse_note(std::string_view text) {
  ReplicaNote note;
  if (text.empty()) return note;
  std::string_view first = take(text, '\n');
  ARTCACHE_TRY(note.position, parse_position(take(first, ' ')));
  note.source = first;
  while (!text.empty()) {
    ARTCACHE_TRY(auto letter, parse_letter(take(text, '\n')));
    note.dead.push_back(std::move(letter));
  }
  return note;
}

}  // namespace artcache::sync
