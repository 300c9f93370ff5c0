// SPDX-License-Identifier: Apache-2.0
// The canonical content and its hash. Frozen: a change here changes every digest there is, so it
// needs a new version line and a migration. docs/formats/content.md has the definition.
#include <algorithm>

#include "core/attr/content_tags.hpp"
#include "core/attr/sidecar.hpp"
#include "util/hash.hpp"

namespace artcache::attr {
namespace {

/// Tag, length as four bytes with the lowest first, bytes.
void put(std::string& out, Tag tag, std::string_view bytes) {
  const auto length = static_cast<std::uint32_t>(bytes.size());
  const char head[5] = {static_cast<char>(tag), static_cast<char>(length),
                        static_cast<char>(length >> 8), static_cast<char>(length >> 16),
                        static_cast<char>(length >> 24)};
  out.append(head, sizeof head).append(bytes);
}

template <std::size_t N>
void put(std::string& out, Tag tag, const std::array<std::uint8_t, N>& bytes) {
  put(out, tag, std::string_view(reinterpret_cast<const char*>(bytes.data()), N));
}

/// Eight bytes with the lowest first; negative numbers in two's complement.
void put_number(std::string& out, Tag tag, std::int64_t number) {
  std::array<std::uint8_t, 8> bytes{};
  for (std::size_t i = 0; i < 8; ++i)
    bytes[i] = static_cast<std::uint8_t>(static_cast<std::uint64_t>(number) >> (8 * i));
  put(out, tag, bytes);
}

void put_if(std::string& out, Tag tag, const std::optional<std::string>& text) {
  if (text) put(out, tag, *text);
}

}  // namespace

void append_canonical(std::string& out, const FileEntry& entry) {
  out.append(kContentVersionLine);
  put(out, Tag::id, entry.id.bytes());
  put(out, Tag::original_filename, entry.original_filename);
  put(out, Tag::storage_filename, entry.storage_filename);
  put(out, Tag::storage_path, entry.storage_path);
  put_number(out, Tag::file_size, static_cast<std::int64_t>(entry.file_size));
  put(out, Tag::content_type, entry.content_type);
  put_number(out, Tag::created_at, entry.created_at.micros());
  put_number(out, Tag::updated_at, entry.updated_at.micros());
  put(out, Tag::created_by_id, entry.created_by_id);
  put(out, Tag::created_by_username, entry.created_by_username);
  put_if(out, Tag::created_by_fullname, entry.created_by_fullname);
  put_if(out, Tag::description, entry.description);
  put_if(out, Tag::version, entry.version);
  put(out, Tag::checksum, entry.checksum.bytes);
  for (const std::string& tag : entry.tags) put(out, Tag::tag, tag);
  put_if(out, Tag::retention_policy, entry.retention_policy);
  if (entry.ttl_days) put_number(out, Tag::ttl_days, *entry.ttl_days);
  if (entry.retention_expires_at)
    put_number(out, Tag::retention_expires_at, entry.retention_expires_at->micros());
  put(out, Tag::metadata, entry.metadata);
  if (!entry.custom_attributes.empty()) put(out, Tag::custom_attributes, entry.custom_attributes);
  if (!entry.unknown_members.empty()) put(out, Tag::unknown_members, entry.unknown_members);
}

ContentHash content_hash(const FileEntry& entry) {
  thread_local std::string canonical;
  canonical.clear();
  append_canonical(canonical, entry);
  const auto sum = util::sha256(canonical);
  ContentHash hash;
  std::copy_n(sum.begin(), hash.bytes.size(), hash.bytes.begin());
  return hash;
}

}  // namespace artcache::attr
