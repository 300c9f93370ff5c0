// SPDX-License-Identifier: Apache-2.0
#include "backends/postgres/columns.hpp"

#include <algorithm>
#include <limits>

#include "backends/postgres/people.hpp"
#include "util/try.hpp"

namespace artcache::postgres {
namespace {

using Type = sql::PostgresType;

constexpr std::array<Column, kColumnCount> kColumns{{
    {"file_id", Type::uuid, ""},
    {"original_filename", Type::text, ""},
    {"storage_filename", Type::text, ""},
    {"file_size", Type::int8, ""},
    {"content_type", Type::text, ""},
    {"created_at", Type::timestamptz, ""},
    {"updated_at", Type::timestamptz, ""},
    {"cache_updated_at", Type::timestamptz, ""},
    {"cache_ttl_hours", Type::int4, ""},
    {"created_by_id", Type::text, ""},
    {"created_by_username", Type::text, ""},
    {"created_by_fullname", Type::text, ""},
    {"description", Type::text, ""},
    {"version", Type::text, ""},
    {"storage_path", Type::text, ""},
    {"checksum", Type::text, ""},
    {"search_vector", Type::text, "tsvector"},
    {"metadata_json", Type::text, "jsonb"},
    {"tags", Type::text, "text[]"},
    {"retention_policy", Type::text, ""},
    {"ttl_days", Type::int8, ""},
    {"retention_expires_at", Type::timestamptz, ""},
    {"artcache_hash", Type::bytea, ""},
    {"artcache_part", Type::text, "numeric"},
    {"artcache_content", Type::bytea, ""},
    {"artcache_path", Type::bytea, ""},
}};

std::string_view name_of(Type type) {
  switch (type) {
    case Type::boolean:
      return "boolean";
    case Type::bytea:
      return "bytea";
    case Type::int8:
      return "bigint";
    case Type::int4:
      return "integer";
    case Type::text:
      return "text";
    case Type::timestamptz:
      return "timestamptz";
    case Type::uuid:
      return "uuid";
  }
  return "text";
}

std::int64_t clamp(std::uint64_t number) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();
  return static_cast<std::int64_t>(std::min(number, kMost));
}

Error damaged(std::string_view what) {
  return Error{Errc::corrupt, "postgresql index: a row with a bad " + std::string(what) +
                                  "; rebuild the index from its storage"};
}

template <std::size_t N>
bool copy_exactly(sql::Bytes from, std::array<std::uint8_t, N>& to) {
  if (from.size() != N) return false;
  std::ranges::copy(from, to.begin());
  return true;
}

}  // namespace

const std::array<Column, kColumnCount>& columns() { return kColumns; }

std::string expected_path(std::string_view folder, std::string_view name) {
  std::string path(folder);
  if (!path.empty() && !path.ends_with('/')) path.push_back('/');
  return path.append(name).append(kSidecarSuffix);
}

void put_columns(const PreparedEntry& put, const Freshness& freshness, std::string_view path,
                 Form form, const std::function<sql::PostgresFields&(std::size_t)>& field) {
  const FileEntry& e = put.entry;
  const bool stored = form == Form::stored;
  std::size_t i = 0;
  const auto next = [&]() -> sql::PostgresFields& { return field(i++); };
  next().bytes(e.id.bytes());
  next().bytes(e.original_filename);
  next().bytes(e.storage_filename);
  next().number(clamp(e.file_size));
  next().bytes(e.content_type);
  next().time(e.created_at.micros());
  next().time(e.updated_at.micros());
  next().time(freshness.refreshed_at.micros());
  next().small(freshness.ttl_hours);
  next().bytes(e.created_by_id);
  next().bytes(e.created_by_username);
  next().maybe(e.created_by_fullname);
  next().maybe(e.description);
  next().maybe(e.version);
  next().bytes(e.storage_path);
  next().bytes(to_string(e.checksum));
  next().bytes(stored ? vector_bytes(put.tokens) : vector_text(put.tokens));
  next().maybe(stored ? jsonb_bytes(e.metadata) : people_json(e.metadata));
  next().maybe(stored ? array_bytes(e.tags) : array_literal(e.tags));
  next().maybe(e.retention_policy);
  e.ttl_days ? next().number(*e.ttl_days) : next().null();
  e.retention_expires_at ? next().time(e.retention_expires_at->micros()) : next().null();
  next().bytes(put.hash.bytes);
  next().bytes(stored ? numeric_bytes(put.part) : to_decimal(put.part));
  next().bytes(put.content);
  // Only a path that cannot be told from the entry is worth its bytes.
  if (path.empty() || path == expected_path(e.storage_path, e.storage_filename))
    next().null();
  else
    next().bytes(path);
}

ColumnArrays::ColumnArrays() {
  for (const Column& column : kColumns) arrays_.emplace_back(column.sent);
}

void ColumnArrays::add(const PreparedEntry& put, const Freshness& freshness,
                       std::string_view path) {
  put_columns(put, freshness, path, Form::sent,
              [this](std::size_t i) -> sql::PostgresFields& { return arrays_[i].add(); });
}

void ColumnArrays::bind(sql::Statement& statement) const {
  for (std::size_t i = 0; i < arrays_.size(); ++i) arrays_[i].bind(statement, static_cast<int>(i));
}

std::string unnest_text() {
  std::string text = "unnest(";
  for (std::size_t i = 0; i < kColumns.size(); ++i)
    text.append(i == 0 ? "$" : ", $")
        .append(std::to_string(i + 1))
        .append("::")
        .append(name_of(kColumns[i].sent))
        .append("[]");
  return text + ") AS n(" + column_names() + ")";
}

std::string column_names() {
  std::string text;
  for (const Column& column : kColumns) text.append(text.empty() ? "" : ", ").append(column.name);
  return text;
}

std::string column_values(std::string_view alias) {
  std::string text;
  for (const Column& column : kColumns) {
    text.append(text.empty() ? "" : ", ").append(alias).append(".").append(column.name);
    if (!column.cast.empty()) text.append("::").append(column.cast);
  }
  return text;
}

std::string entry_columns() {
  static const std::string text = [] {
    std::string all =
        "f.file_id, f.artcache_hash, coalesce(r.seq, h.base), f.cache_updated_at, "
        "f.cache_ttl_hours, f.artcache_content";
    for (const std::string_view column : kPeopleColumns)
      all.append(", CASE WHEN f.artcache_content IS NULL THEN ").append(column).append(" END");
    return all;
  }();
  return text;
}

Result<FileId> read_id(const sql::Statement& statement, int column) {
  FileId::Bytes bytes{};
  if (!copy_exactly(statement.blob(column), bytes)) return damaged("id");
  return FileId(bytes);
}

Freshness read_freshness(const sql::Statement& statement, int first) {
  return {Timestamp(std::chrono::microseconds(statement.integer(first))),
          static_cast<std::int32_t>(statement.integer(first + 1))};
}

Result<ContentHash> read_hash(const sql::Statement& statement, int column) {
  ContentHash hash;
  if (!copy_exactly(statement.blob(column), hash.bytes)) return damaged("hash");
  return hash;
}

Result<Digest> read_digest(const sql::Statement& statement, int column) {
  Digest digest;
  for (const char c : statement.text(column)) {
    if (c < '0' || c > '9') return damaged("digest");
    // Times ten is eight times and twice.
    digest += digest;
    const Digest twice = digest;
    digest += digest;
    digest += digest;
    digest += twice;
    digest += Digest(0, static_cast<std::uint64_t>(c - '0'));
  }
  return digest;
}

std::string numeric_bytes(const Digest& digest) {
  // Digits of base 10,000, the highest first, behind their number and the power of the first.
  constexpr std::size_t kWidth = 4;
  std::string text = to_decimal(digest);
  text.insert(0, (kWidth - text.size() % kWidth) % kWidth, '0');
  const std::size_t digits = text.size() / kWidth;
  std::string out;
  sql::put_big_endian(out, digits, 2);
  sql::put_big_endian(out, digits - 1, 2);
  sql::put_big_endian(out, 0, 4);  // sign and scale
  for (std::size_t i = 0; i < text.size(); i += kWidth) {
    unsigned digit = 0;
    for (const char c : std::string_view(text).substr(i, kWidth))
      digit = digit * 10 + static_cast<unsigned>(c - '0');
    sql::put_big_endian(out, digit, 2);
  }
  return out;
}

std::string to_decimal(const Digest& digest) {
  // Four digits of 32 bits, divided by ten to the ninth as on paper.
  constexpr std::uint64_t kDivisor = 1'000'000'000;
  std::array<std::uint64_t, 4> limbs{digest.high() >> 32, digest.high() & 0xffffffff,
                                     digest.low() >> 32, digest.low() & 0xffffffff};
  std::string text;
  for (int group = 0; group < 5; ++group) {
    std::uint64_t rest = 0;
    for (std::uint64_t& limb : limbs) {
      const std::uint64_t value = rest << 32 | limb;
      limb = value / kDivisor;
      rest = value % kDivisor;
    }
    for (int digit = 0; digit < 9; ++digit, rest /= 10)
      text.push_back(static_cast<char>('0' + rest % 10));
  }
  while (text.size() > 1 && text.back() == '0') text.pop_back();
  std::ranges::reverse(text);
  return text;
}

Result<IndexedEntry> read_entry(const sql::Statement& s, int first) {
  IndexedEntry out;
  ARTCACHE_TRY(const FileId id, read_id(s, first));
  ARTCACHE_TRY(out.hash, read_hash(s, first + 1));
  out.revision = from_sql(s.integer(first + 2));
  out.freshness = read_freshness(s, first + 3);
  if (s.is_null(first + 5)) {
    out.entry = read_people_columns(s, first + 6);
    out.entry.id = id;
    return out;
  }
  auto entry = parse_content(text_of(s.blob(first + 5)));
  // A row with a content has the hash of it; one that was changed by hand has neither.
  if (!entry || entry->id != id || content_hash(*entry) != out.hash)
    return Error{Errc::corrupt, "postgresql index: entry " + to_string(id) +
                                    ": its content does not fit its hash: delete the row and run "
                                    "'artcache rebuild --incremental'"};
  out.entry = std::move(*entry);
  return out;
}

}  // namespace artcache::postgres
