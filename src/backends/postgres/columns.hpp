// SPDX-License-Identifier: Apache-2.0
// Between an entry and the columns of its row.
#pragma once

#include <array>
#include <artcache/metadata_store.hpp>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "sql/postgres/wire.hpp"
#include "sql/sql.hpp"

namespace artcache::postgres {

/// One column of {p}files as it is sent, and what the server makes of it.
struct Column {
  std::string_view name;
  sql::PostgresType sent;
  std::string_view cast;  ///< empty where it is stored as sent
};
inline constexpr std::size_t kColumnCount = 26;
/// In the order in which put_columns() writes them.
const std::array<Column, kColumnCount>& columns();

/// Whether columns go as they are sent, to be cast, or in the binary form of what is stored.
enum class Form : std::uint8_t { sent, stored };
/// Writes one row, found under `path` if that is not empty; `field(i)` is where column i goes.
void put_columns(const PreparedEntry& put, const Freshness& freshness, std::string_view path,
                 Form form, const std::function<sql::PostgresFields&(std::size_t)>& field);

/// Rows for INSERT and UPDATE, as one array a column.
class ColumnArrays {
 public:
  ColumnArrays();
  void add(const PreparedEntry& put, const Freshness& freshness, std::string_view path);
  [[nodiscard]] bool empty() const { return arrays_.front().empty(); }
  /// Binds kColumnCount parameters from the first on.
  void bind(sql::Statement& statement) const;

 private:
  std::vector<sql::PostgresArray> arrays_;
};

/// "unnest($1::uuid[], …) AS n(file_id, …)".
std::string unnest_text();
/// "file_id, original_filename, …".
std::string column_names();
/// "n.file_id, …, n.search_vector::tsvector, …" with the alias given.
std::string column_values(std::string_view alias);

/// What is selected for an entry, of {p}files f, {p}revision r and {p}head h. Columns for people
/// are read only of rows that were made by hand: all others carry their exact content.
inline constexpr int kEntryColumnCount = 24;
std::string entry_columns();
/// " FROM {p}head h CROSS JOIN {p}files f LEFT JOIN {p}revision r ON …".
inline constexpr std::string_view kEntryTables =
    " FROM {p}head h CROSS JOIN {p}files f LEFT JOIN {p}revision r ON r.file_id = f.file_id";
/// Reads entry_columns() from column `first` on. Errors: corrupt.
Result<IndexedEntry> read_entry(const sql::Statement& statement, int first);

/// The path of the sidecar that an entry of this folder and name is expected under.
std::string expected_path(std::string_view folder, std::string_view name);

Result<FileId> read_id(const sql::Statement& statement, int column);
/// cache_updated_at and cache_ttl_hours.
Freshness read_freshness(const sql::Statement& statement, int first);
Result<ContentHash> read_hash(const sql::Statement& statement, int column);
/// A number of 128 bits, selected as text.
Result<Digest> read_digest(const sql::Statement& statement, int column);
std::string to_decimal(const Digest& digest);
/// The same as the server sends a numeric in binary.
std::string numeric_bytes(const Digest& digest);

inline sql::Bytes bytes_of(const FileId& id) { return id.bytes(); }
inline std::string_view text_of(sql::Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline sql::Bytes bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

/// SQL has signed numbers only; these keep all 64 bits.
inline std::int64_t to_sql(std::uint64_t number) { return static_cast<std::int64_t>(number); }
inline std::uint64_t from_sql(std::int64_t number) { return static_cast<std::uint64_t>(number); }

}  // namespace artcache::postgres
