// SPDX-License-Identifier: Apache-2.0
// Between an entry and the columns of its row.
#pragma once

#include <artcache/metadata_store.hpp>
#include <string>
#include <string_view>

#include "sql/sql.hpp"

namespace artcache::sqlite {

/// The columns of an entry in the order of bind_entry() and read_entry(), without the rowid.
inline constexpr std::string_view kEntryColumns =
    "file_id, hash, revision, refreshed_at, ttl_hours, created_at, updated_at, file_size, "
    "original_filename, storage_filename, storage_path, content_type, created_by_id, "
    "created_by_username, created_by_fullname, description, version, checksum, tags, "
    "retention_policy, ttl_days, retention_expires_at, metadata, custom_attributes, "
    "unknown_members, sidecar_path";
inline constexpr int kEntryColumnCount = 26;

inline sql::Bytes bytes_of(const FileId& id) { return id.bytes(); }
inline sql::Bytes bytes_of(const ContentHash& hash) { return hash.bytes; }

/// What must live as long as the binding.
struct BindBuffers {
  std::string tags;
};

struct EntryRow {
  const PreparedEntry* put = nullptr;
  std::uint64_t revision = 0;
  Freshness freshness;
  std::string_view sidecar_path;  ///< empty: the data file's path with the suffix
};

/// Binds kEntryColumnCount parameters from `first` on.
void bind_entry(sql::Statement& statement, int first, const EntryRow& row, BindBuffers& buffers);

/// Reads kEntryColumns from column `first` on and compares the content with its hash, so that what
/// was falsified on the disk is not served. Errors: corrupt.
Result<IndexedEntry> read_entry(const sql::Statement& statement, int first);
/// The same without comparing, for who replaces the row anyway: so that a bad one can be mended.
Result<IndexedEntry> read_entry_as_it_is(const sql::Statement& statement, int first);

/// What read_entry() says when they differ.
Error falsified(const FileId& id);

Result<FileId> read_id(const sql::Statement& statement, int column);
Result<ContentHash> read_hash(const sql::Statement& statement, int column);
/// Of refreshed_at and ttl_hours, the latter in the next column.
Freshness read_freshness(const sql::Statement& statement, int column);

/// The path of the sidecar that an entry of this folder and name is expected under.
std::string expected_sidecar_path(const FileEntry& entry);
/// What is stored of a sidecar's path: nothing when it is the expected one.
std::string_view path_to_keep(std::string_view path, const FileEntry& entry);

}  // namespace artcache::sqlite
