// SPDX-License-Identifier: Apache-2.0
#include "core/attr/members.hpp"

#include <algorithm>
#include <iterator>

namespace artcache::attr {
namespace {

struct Alias {
  std::string_view name;
  Field field;
  std::uint8_t rank;  // 0 is looked at first
};

// The names of facts: v1 and v2, the legacy dialect, the one of the Go programs, and documents.
// Rows of one name stand behind each other.
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
    {"uploaded_by", Field::created_by_username, 1},
    {"created_by_username", Field::created_by_username, 0},
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

constexpr bool is_same_as_before(std::size_t row) {
  return row > 0 && row < kAliasCount && kAliases[row].name == kAliases[row - 1].name;
}

/// Open addressing; holds the first row of each name, counted from one.
constexpr auto make_table() {
  std::array<std::uint8_t, kTableSize> table{};
  for (std::size_t i = 0; i < kAliasCount; ++i) {
    if (is_same_as_before(i)) continue;
    std::size_t slot = slot_of(kAliases[i].name);
    while (table[slot] != 0) slot = (slot + 1) % kTableSize;
    table[slot] = static_cast<std::uint8_t>(i + 1);
  }
  return table;
}
constexpr auto kTable = make_table();

constexpr std::uint64_t make_same_as_before() {
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < kAliasCount; ++i)
    if (is_same_as_before(i)) bits |= std::uint64_t{1} << i;
  return bits;
}
constexpr std::uint64_t kSameAsBefore = make_same_as_before();  // a bit for each row
static_assert(kAliasCount < 64);

/// The first row with this name; kAliasCount when it is none of ours.
std::size_t row_of(std::string_view name) {
  if (name.empty()) return kAliasCount;
  for (std::size_t slot = slot_of(name); kTable[slot] != 0; slot = (slot + 1) % kTableSize)
    if (util::same_text(kAliases[kTable[slot] - 1].name, name)) return kTable[slot] - 1;
  return kAliasCount;
}

/// No name of ours needs an escape, so an escaped name that means one is compared decoded.
std::size_t row_of(const util::JsonValue& name) {
  if (!name.escaped) return row_of(name.spelled());
  std::string decoded;
  util::append_decoded(decoded, name);
  return row_of(decoded);
}

}  // namespace

std::string_view name_of(Field field) {
  for (const Alias& alias : kAliases)
    if (alias.field == field && alias.rank == 0) return alias.name;
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
  chosen_.fill(kNone);
  slots_.fill(kNone);
  seen_ = 0;
  twice_ = kNone;
  if (bytes.empty()) return error(bytes.data(), "empty file");

  util::JsonScanner scanner(bytes);
  if (!scanner.check_start() || !scanner.enter_object()) return scan_error(scanner);
  // Sidecars come in a few orders, so the name that came behind this one last time is likely
  // to come again: comparing it costs a fraction of reading it and looking it up.
  std::size_t before = kAliasCount;
  while (true) {
    Member& member = members_.emplace_back();
    const std::size_t guess = followers_[before];
    const std::string_view guessed = guess < kAliasCount ? kAliases[guess].name : "";
    if (!scanner.next_member(member.name, member.value, guessed)) break;
    const auto index = static_cast<std::uint16_t>(members_.size() - 1);
    if (index == kMembersMost) return error(member.name.text.data(), "too many members");
    const std::size_t row = scanner.guessed() ? guess : row_of(member.name);
    if (row < kAliasCount) choose(row, index);
    followers_[before] = static_cast<std::uint8_t>(row);
    before = row;
  }
  members_.pop_back();
  if (scanner.failed()) return scan_error(scanner);
  if (!scanner.at_end())
    return error(bytes.data() + scanner.offset(), "something behind the document");
  return finish();
}

void Document::choose(std::size_t row, std::uint16_t index) {
  Member& member = members_[index];
  const bool null = member.value.kind == util::JsonKind::null;
  if ((seen_ >> row & 1) != 0 && twice_ == kNone) twice_ = index;
  seen_ |= std::uint64_t{1} << row;
  member.used = null;  // as if it were not there
  do {
    const Alias& alias = kAliases[row];
    const auto f = static_cast<std::size_t>(alias.field);
    if (slots_[f] == kNone || alias.rank < slot_ranks_[f]) {
      slots_[f] = index;
      slot_ranks_[f] = alias.rank;
    }
    if (!null && (chosen_[f] == kNone || alias.rank < ranks_[f])) {
      chosen_[f] = index;
      ranks_[f] = alias.rank;
    }
    ++row;
  } while ((kSameAsBefore >> row & 1) != 0);
}

Result<void> Document::finish() {
  if (twice_ != kNone) {
    const util::JsonValue& name = members_[twice_].name;
    return error(name.text.data(),
                 "member '" + std::string(kAliases[row_of(name)].name) + "' stands twice");
  }
  for (const std::uint16_t index : chosen_)
    if (index != kNone) members_[index].used = true;
  return {};
}

bool Document::names(const Member& member, Field field) {
  if (member.value.kind == util::JsonKind::null) return false;
  std::size_t row = row_of(member.name);
  if (row == kAliasCount) return false;
  bool found = false;
  do found |= kAliases[row++].field == field;
  while ((kSameAsBefore >> row & 1) != 0);
  return found;
}

const Member* Document::slot(Field field) const {
  const auto f = static_cast<std::size_t>(field);
  const std::uint16_t index = chosen_[f] != kNone ? chosen_[f] : slots_[f];
  return index == kNone ? nullptr : &members_[index];
}

}  // namespace artcache::attr
