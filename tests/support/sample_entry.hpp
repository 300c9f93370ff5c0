// SPDX-License-Identifier: Apache-2.0
// Entries for tests: believable, all different, the same for the same number.
#pragma once

#include <artcache/content.hpp>
#include <artcache/metadata_store.hpp>
#include <artcache/storage_name.hpp>
#include <cstdint>
#include <string>

namespace artcache::test {

inline FileId sample_id(std::uint64_t n) {
  FileId::Bytes bytes{};
  // Spread, so that the order of ids is not the order of numbers.
  const std::uint64_t mixed = (n + 1) * 0x9e3779b97f4a7c15ULL;
  for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<std::uint8_t>(mixed >> (56 - 8 * i));
  for (std::size_t i = 0; i < 8; ++i) bytes[8 + i] = static_cast<std::uint8_t>(n >> (56 - 8 * i));
  bytes[6] = static_cast<std::uint8_t>(0x40 | (bytes[6] & 0x0f));
  return FileId(bytes);
}

inline FileEntry sample_entry(std::uint64_t n) {
  static constexpr const char* kNames[] = {"quarterly_report-2024.final.pdf",
                                           "Отчёт за квартал.docx", "plan.txt", "invoice 17.pdf",
                                           "Договор.pdf"};
  static constexpr const char* kUsers[] = {"i.petrova", "a.smith", "svc-ingest"};
  FileEntry e;
  e.id = sample_id(n);
  e.original_filename = kNames[n % 5];
  e.file_size = 100 + n * 7 % 1000;
  e.content_type = n % 3 == 0 ? "application/pdf" : "text/plain";
  e.created_at = Timestamp(std::chrono::seconds(1704067200 + static_cast<std::int64_t>(n * 61)));
  e.updated_at = e.created_at;
  e.created_by_id = "user-" + std::to_string(n % 3);
  e.created_by_username = kUsers[n % 3];
  e.storage_path = storage_folder(e.created_at);
  e.storage_filename =
      storage_filename(e.original_filename, e.created_by_username, e.created_at, e.id);
  e.checksum.bytes.fill(static_cast<std::uint8_t>(n));
  if (n % 2 == 0) e.description = "Описание номер " + std::to_string(n);
  if (n % 4 == 0) e.tags = {"finance", "tag" + std::to_string(n % 10)};
  if (n % 7 == 0) e.created_by_fullname = "Alice Smith";
  if (n % 9 == 0) e.retention_policy = "temporary";
  if (n % 11 == 0) e.unknown_members = "\"size_exact\":12345678901234567890123,\"x\":1e400";
  if (n % 13 == 0) e.metadata = "{\"pages\":12}";
  return e;
}

inline Freshness sample_freshness(std::int64_t seconds = 1772446272) {
  return {Timestamp(std::chrono::seconds(seconds)), 24};
}

inline ScannedFile scanned_of(const PreparedEntry& put) {
  ScannedFile file;
  file.path = put.entry.data_path().append(kSidecarSuffix);
  file.stamp.size = 900;
  file.stamp.mark[0] = 1;
  file.id = put.entry.id;
  file.hash = put.hash;
  file.updated_at = put.entry.updated_at;
  return file;
}

inline EntryChange put_of(FileEntry entry) {
  EntryChange change;
  change.kind = EntryChange::Kind::put;
  change.id = entry.id;
  change.put = prepare(std::move(entry));
  change.freshness = sample_freshness();
  return change;
}

inline EntryChange remove_of(const FileId& id) {
  EntryChange change;
  change.kind = EntryChange::Kind::remove;
  change.id = id;
  return change;
}

}  // namespace artcache::test
