// SPDX-License-Identifier: Apache-2.0
// The canonical content and its hash. Frozen: a change here changes every digest there is, so it
// needs a new version line and a migration. docs/formats/content.md has the definition.
#include <artcache/content.hpp>

#include <algorithm>

#include "core/attr/content_tags.hpp"

namespace artcache {
namespace {

using attr::Tag;

constexpr std::size_t kHeadSize = 5;

/// Writes fields into room that was made for all of them at once: one check instead of sixty.
class Writer {
 public:
  explicit Writer(char* at) : at_(at) {}

  /// Tag, length as four bytes with the lowest first, bytes.
  void put(Tag tag, std::string_view bytes) {
    put_head(tag, bytes.size());
    at_ = std::copy(bytes.begin(), bytes.end(), at_);
  }
  template <std::size_t N>
  void put(Tag tag, const std::array<std::uint8_t, N>& bytes) {
    put_head(tag, N);
    at_ = std::copy(bytes.begin(), bytes.end(), at_);
  }
  /// Eight bytes with the lowest first; negative numbers in two's complement.
  void put_number(Tag tag, std::int64_t number) {
    std::array<std::uint8_t, 8> bytes{};
    for (std::size_t i = 0; i < 8; ++i)
      bytes[i] = static_cast<std::uint8_t>(static_cast<std::uint64_t>(number) >> (8 * i));
    put(tag, bytes);
  }
  void put_if(Tag tag, const std::optional<std::string>& text) {
    if (text) put(tag, *text);
  }
  [[nodiscard]] char* at() const { return at_; }

 private:
  void put_head(Tag tag, std::size_t length) {
    *at_++ = static_cast<char>(tag);
    for (unsigned shift = 0; shift < 32; shift += 8) *at_++ = static_cast<char>(length >> shift);
  }
  char* at_;
};

/// At least as many bytes as the fields of an entry take.
std::size_t room_for(const FileEntry& e) {
  const auto size = [](const std::optional<std::string>& text) { return text ? text->size() : 0; };
  constexpr std::size_t kNumbersAndHeads = 16 + 32 + 5 * 8 + 21 * kHeadSize;
  std::size_t room = kNumbersAndHeads + e.original_filename.size() + e.storage_filename.size() +
                     e.storage_path.size() + e.content_type.size() + e.created_by_id.size() +
                     e.created_by_username.size() + size(e.created_by_fullname) +
                     size(e.description) + size(e.version) + size(e.retention_policy) +
                     e.metadata.size() + e.custom_attributes.size() + e.unknown_members.size();
  for (const std::string& tag : e.tags) room += kHeadSize + tag.size();
  return room;
}

}  // namespace

void append_content(std::string& out, const FileEntry& entry) {
  const std::size_t before = out.append(attr::kContentVersionLine).size();
  out.resize(before + room_for(entry));
  Writer write(out.data() + before);
  write.put(Tag::id, entry.id.bytes());
  write.put(Tag::original_filename, entry.original_filename);
  write.put(Tag::storage_filename, entry.storage_filename);
  write.put(Tag::storage_path, entry.storage_path);
  write.put_number(Tag::file_size, static_cast<std::int64_t>(entry.file_size));
  write.put(Tag::content_type, entry.content_type);
  write.put_number(Tag::created_at, entry.created_at.micros());
  write.put_number(Tag::updated_at, entry.updated_at.micros());
  write.put(Tag::created_by_id, entry.created_by_id);
  write.put(Tag::created_by_username, entry.created_by_username);
  write.put_if(Tag::created_by_fullname, entry.created_by_fullname);
  write.put_if(Tag::description, entry.description);
  write.put_if(Tag::version, entry.version);
  write.put(Tag::checksum, entry.checksum.bytes);
  for (const std::string& tag : entry.tags) write.put(Tag::tag, tag);
  write.put_if(Tag::retention_policy, entry.retention_policy);
  if (entry.ttl_days) write.put_number(Tag::ttl_days, *entry.ttl_days);
  if (entry.retention_expires_at)
    write.put_number(Tag::retention_expires_at, entry.retention_expires_at->micros());
  write.put(Tag::metadata, entry.metadata);
  if (!entry.custom_attributes.empty()) write.put(Tag::custom_attributes, entry.custom_attributes);
  if (!entry.unknown_members.empty()) write.put(Tag::unknown_members, entry.unknown_members);
  out.resize(static_cast<std::size_t>(write.at() - out.data()));
}

}  // namespace artcache
