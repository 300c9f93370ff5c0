// SPDX-License-Identifier: Apache-2.0
// The way back from the canonical content to an entry.
#include <artcache/content.hpp>

#include <algorithm>

#include "core/attr/content_tags.hpp"
#include "util/try.hpp"

namespace artcache {
namespace {

using attr::Tag;

Error bad(std::string_view what) { return Error{Errc::corrupt, "content: " + std::string(what)}; }

struct Field {
  Tag tag{};
  std::string_view bytes;
};

/// Takes one field off the front; lengths are checked against what is there.
Result<Field> take_field(std::string_view& rest) {
  if (rest.size() < 5) return bad("cut off in the head of a field");
  std::uint32_t length = 0;
  for (std::size_t i = 4; i > 0; --i) length = length << 8 | static_cast<std::uint8_t>(rest[i]);
  if (rest.size() - 5 < length) return bad("cut off in a field");
  const Field field{static_cast<Tag>(rest[0]), rest.substr(5, length)};
  rest.remove_prefix(5 + std::size_t{length});
  return field;
}

template <std::size_t N>
Result<std::array<std::uint8_t, N>> fixed(std::string_view bytes) {
  std::array<std::uint8_t, N> out{};
  if (bytes.size() != N) return bad("a field of a wrong length");
  std::transform(bytes.begin(), bytes.end(), out.begin(),
                 [](char c) { return static_cast<std::uint8_t>(c); });
  return out;
}

Result<std::int64_t> number(std::string_view bytes) {
  ARTCACHE_TRY(const auto raw, fixed<8>(bytes));
  std::uint64_t n = 0;
  for (std::size_t i = 8; i > 0; --i) n = n << 8 | raw[i - 1];
  return static_cast<std::int64_t>(n);
}

Result<Timestamp> moment(std::string_view bytes) {
  ARTCACHE_TRY(const std::int64_t micros, number(bytes));
  return Timestamp(std::chrono::microseconds(micros));
}

Result<void> set_numbers(FileEntry& entry, const Field& field) {
  switch (field.tag) {
    case Tag::id: {
      ARTCACHE_TRY(const auto bytes, fixed<16>(field.bytes));
      entry.id = FileId(bytes);
      return {};
    }
    case Tag::checksum: {
      ARTCACHE_TRY(entry.checksum.bytes, fixed<32>(field.bytes));
      return {};
    }
    case Tag::file_size: {
      ARTCACHE_TRY(const std::int64_t size, number(field.bytes));
      entry.file_size = static_cast<std::uint64_t>(size);
      return {};
    }
    case Tag::created_at: {
      ARTCACHE_TRY(entry.created_at, moment(field.bytes));
      return {};
    }
    case Tag::updated_at: {
      ARTCACHE_TRY(entry.updated_at, moment(field.bytes));
      return {};
    }
    case Tag::ttl_days: {
      ARTCACHE_TRY(entry.ttl_days, number(field.bytes));
      return {};
    }
    case Tag::retention_expires_at: {
      ARTCACHE_TRY(entry.retention_expires_at, moment(field.bytes));
      return {};
    }
    default:
      return bad("an unknown field");
  }
}

/// The text behind a tag; nullptr for tags that are no texts.
std::string* text_of(FileEntry& entry, Tag tag) {
  switch (tag) {
    case Tag::original_filename:
      return &entry.original_filename;
    case Tag::storage_filename:
      return &entry.storage_filename;
    case Tag::storage_path:
      return &entry.storage_path;
    case Tag::content_type:
      return &entry.content_type;
    case Tag::created_by_id:
      return &entry.created_by_id;
    case Tag::created_by_username:
      return &entry.created_by_username;
    case Tag::created_by_fullname:
      return &entry.created_by_fullname.emplace();
    case Tag::description:
      return &entry.description.emplace();
    case Tag::version:
      return &entry.version.emplace();
    case Tag::tag:
      return &entry.tags.emplace_back();
    case Tag::retention_policy:
      return &entry.retention_policy.emplace();
    case Tag::metadata:
      return &entry.metadata;
    case Tag::custom_attributes:
      return &entry.custom_attributes;
    case Tag::unknown_members:
      return &entry.unknown_members;
    default:
      return nullptr;
  }
}

}  // namespace

Result<FileEntry> parse_content(std::string_view content) {
  if (!content.starts_with(attr::kContentVersionLine)) return bad("not of a known version");
  std::string_view rest = content.substr(attr::kContentVersionLine.size());
  FileEntry entry;
  while (!rest.empty()) {
    ARTCACHE_TRY(const Field field, take_field(rest));
    if (std::string* text = text_of(entry, field.tag))
      text->assign(field.bytes);
    else
      ARTCACHE_CHECK(set_numbers(entry, field));
  }
  return entry;
}

}  // namespace artcache
