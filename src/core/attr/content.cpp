// SPDX-License-Identifier: Apache-2.0
// The canonical content and its hash. Frozen: a change here changes every digest there is, so it
// needs a new version line and a migration. docs/formats/content.md has the definition.
#include <algorithm>

#include "core/attr/sidecar.hpp"
#include "util/hash.hpp"

namespace artcache::attr {
namespace {

constexpr std::string_view kVersionLine = "artcache entry 1\n";

/// Numbers of the fields in the canonical content; never used for another field again.
enum Tag : std::uint8_t {
  kId = 1,
  kOriginalFilename = 2,
  kStorageFilename = 3,
  kStoragePath = 4,
  kFileSize = 5,
  kContentType = 6,
  kCreatedAt = 7,
  kUpdatedAt = 8,
  kCreatedById = 9,
  kCreatedByUsername = 10,
  kCreatedByFullname = 11,
  kDescription = 12,
  kVersion = 13,
  kChecksum = 14,
  kTag = 15,
  kRetentionPolicy = 16,
  kTtlDays = 17,
  kRetentionExpiresAt = 18,
  kMetadata = 19,
  kCustomAttributes = 20,
  kUnknownMembers = 21,
};

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
  out.append(kVersionLine);
  put(out, kId, entry.id.bytes());
  put(out, kOriginalFilename, entry.original_filename);
  put(out, kStorageFilename, entry.storage_filename);
  put(out, kStoragePath, entry.storage_path);
  put_number(out, kFileSize, static_cast<std::int64_t>(entry.file_size));
  put(out, kContentType, entry.content_type);
  put_number(out, kCreatedAt, entry.created_at.micros());
  put_number(out, kUpdatedAt, entry.updated_at.micros());
  put(out, kCreatedById, entry.created_by_id);
  put(out, kCreatedByUsername, entry.created_by_username);
  put_if(out, kCreatedByFullname, entry.created_by_fullname);
  put_if(out, kDescription, entry.description);
  put_if(out, kVersion, entry.version);
  put(out, kChecksum, entry.checksum.bytes);
  for (const std::string& tag : entry.tags) put(out, kTag, tag);
  put_if(out, kRetentionPolicy, entry.retention_policy);
  if (entry.ttl_days) put_number(out, kTtlDays, *entry.ttl_days);
  if (entry.retention_expires_at)
    put_number(out, kRetentionExpiresAt, entry.retention_expires_at->micros());
  put(out, kMetadata, entry.metadata);
  if (!entry.custom_attributes.empty()) put(out, kCustomAttributes, entry.custom_attributes);
  if (!entry.unknown_members.empty()) put(out, kUnknownMembers, entry.unknown_members);
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
