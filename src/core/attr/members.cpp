// SPDX-License-Identifier: Apache-2.0
#include "core/attr/members.hpp"

#include <algorithm>
#include <cstring>

namespace artcache::attr {
namespace {

struct Alias {
  std::string_view name;
  Field field;
  std::uint8_t rank;  // 0 is looked at first
};

// The names of facts: v1 and v2, the legacy dialect, the one of the Go programs, and documents.
constexpr Alias kAliases[] = {
    {"file_id", Field::file_id, 0},
    {"original_filename", Field::original_filename, 0},
    {"storage_filename", Field::storage_filename, 0},
    {"storage_path", Field::storage_path, 0},
    {"file_size", Field::file_size, 0},
    {"size", Field::file_size, 1},
    {"content_type", Field::content_type, 0},
    {"mime_type", Field::content_type, 1},
    {"created_at", Field::created_at, 0},
    {"uploaded_at", Field::created_at, 1},
    {"updated_at", Field::updated_at, 0},
    {"created_by_id", Field::created_by_id, 0},
    {"uploaded_by", Field::created_by_id, 1},
    {"created_by_username", Field::created_by_username, 0},
    {"uploaded_by", Field::created_by_username, 1},
    {"created_by", Field::created_by_username, 2},
    {"created_by_fullname", Field::created_by_fullname, 0},
    {"uploader_full_name", Field::created_by_fullname, 1},
    {"description", Field::description, 0},
    {"version", Field::version, 0},
    {"checksum", Field::checksum, 0},
    {"sha256", Field::checksum, 1},
    {"checksum_sha256", Field::checksum, 2},
    {"sha256_hash", Field::checksum, 3},
    {"tags", Field::tags, 0},
    {"retention_policy", Field::retention_policy, 0},
    {"ttl_days", Field::ttl_days, 0},
    {"retention_days", Field::ttl_days, 1},
    {"retention_expires_at", Field::retention_expires_at, 0},
    {"expires_at", Field::retention_expires_at, 1},
    {"ttl_expires_at", Field::retention_expires_at, 2},
    {"metadata", Field::metadata, 0},
    {"custom_attributes", Field::custom_attributes, 0},
    {"schema_version", Field::schema_version, 0},
};
constexpr std::size_t kAliasCount = std::size(kAliases);

constexpr std::size_t kTableSize = 128;

constexpr std::size_t slot_of(std::string_view name) {
  // Length and three characters spread these names well; a probe or two settles the rest.
  const auto at = [&](std::size_t i) { return static_cast<std::size_t>(name[i]); };
  return (name.size() * 11 + at(0) * 7 + at(name.size() / 2) * 5 + at(name.size() - 1) * 3) %
         kTableSize;
}

/// Open addressing; all aliases of one name stand behind each other in probe order.
constexpr auto make_table() {
  std::array<std::uint8_t, kTableSize> table{};
  for (std::size_t i = 0; i < kAliasCount; ++i) {
    std::size_t slot = slot_of(kAliases[i].name);
    while (table[slot] != 0) slot = (slot + 1) % kTableSize;
    table[slot] = static_cast<std::uint8_t>(i + 1);
  }
  return table;
}
constexpr auto kTable = make_table();

template <class Word>
Word word_at(std::string_view text, std::size_t at) {
  Word word = 0;
  std::memcpy(&word, text.data() + at, sizeof word);
  return word;
}

/// Equality of two names of one size, by overlapping words and without a loop: a call of memcmp
/// costs more than all else that is done for a member.
bool same_name(std::string_view a, std::string_view b) {
  const std::size_t size = a.size();
  const auto differ = [&]<class Word>(Word, std::size_t at) {
    return word_at<Word>(a, at) ^ word_at<Word>(b, at);
  };
  if (size >= 8 && size <= 24)
    return (differ(std::uint64_t{}, 0) | differ(std::uint64_t{}, (size - 8) / 2) |
            differ(std::uint64_t{}, size - 8)) == 0;
  if (size >= 4 && size < 8)
    return (differ(std::uint32_t{}, 0) | differ(std::uint32_t{}, size - 4)) == 0;
  return a == b;
}

template <class F>
void for_each_alias(std::string_view name, F&& use) {
  if (name.empty()) return;
  for (std::size_t slot = slot_of(name); kTable[slot] != 0; slot = (slot + 1) % kTableSize) {
    const Alias& alias = kAliases[kTable[slot] - 1];
    if (alias.name.size() == name.size() && same_name(alias.name, name)) use(alias);
  }
}

/// No name of ours needs an escape, so an escaped name that means one is compared decoded.
std::string_view plain_name(const Member& member, std::string& buffer) {
  if (!member.name.escaped) return member.name.spelled();
  buffer.clear();
  util::append_decoded(buffer, member.name);
  return buffer;
}

}  // namespace

std::string_view name_of(Field field) {
  for (const Alias& alias : kAliases)
    if (alias.field == field) return alias.name;
  return {};
}

Error Document::error(const char* where, std::string_view what) const {
  const auto offset = static_cast<std::size_t>(where - bytes_.data());
  const auto line =
      1 + std::count(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(offset), '\n');
  std::string message = "sidecar: '";
  message.append(path_).append("': line ").append(std::to_string(line));
  message.append(", byte ").append(std::to_string(offset)).append(": ").append(what);
  return Error{Errc::corrupt, std::move(message)};
}

Error Document::scan_error(const util::JsonScanner& scanner) const {
  return error(bytes_.data() + std::min(scanner.offset(), bytes_.size()), scanner.what());
}

Result<void> Document::parse(std::string_view bytes, std::string_view path) {
  bytes_ = bytes;
  path_ = path;
  members_.clear();
  if (bytes.empty()) return error(bytes.data(), "empty file");

  util::JsonScanner scanner(bytes);
  if (!scanner.check_start() || !scanner.enter_object()) return scan_error(scanner);
  Member member;
  while (scanner.next_member(member.name, member.value)) {
    if (members_.size() == kMembersMost) return error(member.name.text.data(), "too many members");
    members_.push_back(member);
  }
  if (scanner.failed()) return scan_error(scanner);
  if (!scanner.at_end())
    return error(bytes.data() + scanner.offset(), "something behind the document");
  return choose();
}

Result<void> Document::choose() {
  chosen_.fill(kNone);
  slots_.fill(kNone);
  std::uint64_t seen = 0;  // a bit for each row of the table
  static_assert(kAliasCount <= 64);
  std::string decoded;
  for (std::uint16_t i = 0; i < members_.size(); ++i) {
    Member& member = members_[i];
    const std::string_view name = plain_name(member, decoded);
    const bool null = member.value.kind == util::JsonKind::null;
    bool duplicate = false;
    for_each_alias(name, [&](const Alias& alias) {
      const auto f = static_cast<std::size_t>(alias.field);
      const std::uint64_t bit = std::uint64_t{1} << (&alias - kAliases);
      duplicate |= (seen & bit) != 0;
      seen |= bit;
      if (slots_[f] == kNone || alias.rank < slot_ranks_[f]) {
        slots_[f] = i;
        slot_ranks_[f] = alias.rank;
      }
      if (null) {
        member.used = true;  // as if it were not there
      } else if (chosen_[f] == kNone || alias.rank < ranks_[f]) {
        chosen_[f] = i;
        ranks_[f] = alias.rank;
      }
    });
    if (duplicate)
      return error(member.name.text.data(), "member '" + std::string(name) + "' stands twice");
  }
  for (const std::uint16_t index : chosen_)
    if (index != kNone) members_[index].used = true;
  return {};
}

bool Document::names(const Member& member, Field field) {
  if (member.value.kind == util::JsonKind::null) return false;
  std::string decoded;
  bool found = false;
  for_each_alias(plain_name(member, decoded),
                 [&](const Alias& alias) { found |= alias.field == field; });
  return found;
}

const Member* Document::slot(Field field) const {
  const auto f = static_cast<std::size_t>(field);
  const std::uint16_t index = chosen_[f] != kNone ? chosen_[f] : slots_[f];
  return index == kNone ? nullptr : &members_[index];
}

}  // namespace artcache::attr
