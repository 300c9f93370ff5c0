// SPDX-License-Identifier: Apache-2.0
#include "roles/query/schema.hpp"

#include <array>
#include <string>

#include "sql/migrate.hpp"

namespace artcache::query {
namespace {

// `content` is the canonical content, from which answers are made; the columns are what is searched
// and sorted by, and what people look at. The index on created_at serves every search that no word
// narrows down, that on username the files of one person, that on id reads by id.
// Numbers of entries never come back: who deletes rows by hand leaves their words behind.
constexpr std::string_view kFilesSqlite = R"(
CREATE TABLE file_metadata_cache(
  entry INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, filename TEXT NOT NULL,
  storage_filename TEXT NOT NULL, file_size INTEGER NOT NULL, mime_type TEXT,
  sha256_hash TEXT NOT NULL, username TEXT NOT NULL, tags TEXT, description TEXT,
  storage_element_id TEXT NOT NULL, storage_element_url TEXT NOT NULL,
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, cache_updated_at INTEGER NOT NULL,
  retention_policy TEXT, content BLOB, content_hash BLOB);
CREATE UNIQUE INDEX file_metadata_cache_key ON file_metadata_cache(storage_element_id, id);
CREATE VIRTUAL TABLE file_metadata_words USING fts5(
  name, tags, rest, content='', columnsize=0, detail='column', tokenize='ascii');
)";

// Also takes over what the original has made: its key was the id alone, its columns were narrower
// than those of the elements. Sorting by bytes is what SQLite does.
constexpr std::string_view kFilesPostgres = R"(
CREATE TABLE IF NOT EXISTS file_metadata_cache(
  id TEXT NOT NULL, filename TEXT NOT NULL, storage_filename TEXT NOT NULL,
  file_size BIGINT NOT NULL, mime_type TEXT, sha256_hash TEXT NOT NULL, username TEXT NOT NULL,
  tags TEXT[], description TEXT, storage_element_id TEXT NOT NULL,
  storage_element_url TEXT NOT NULL, created_at TIMESTAMPTZ NOT NULL,
  updated_at TIMESTAMPTZ NOT NULL, cache_updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  search_vector TSVECTOR);
ALTER TABLE file_metadata_cache DROP CONSTRAINT IF EXISTS file_metadata_cache_pkey;
ALTER TABLE file_metadata_cache
  ALTER COLUMN id TYPE TEXT COLLATE "C", ALTER COLUMN filename TYPE TEXT COLLATE "C",
  ALTER COLUMN storage_filename TYPE TEXT, ALTER COLUMN mime_type TYPE TEXT,
  ALTER COLUMN sha256_hash TYPE TEXT, ALTER COLUMN username TYPE TEXT,
  ALTER COLUMN tags TYPE TEXT[], ALTER COLUMN storage_element_id TYPE TEXT COLLATE "C",
  ALTER COLUMN storage_element_url TYPE TEXT,
  ADD COLUMN IF NOT EXISTS retention_policy TEXT, ADD COLUMN IF NOT EXISTS content BYTEA,
  ADD COLUMN IF NOT EXISTS content_hash BYTEA;
ALTER TABLE file_metadata_cache ADD PRIMARY KEY(storage_element_id, id);
CREATE INDEX file_metadata_cache_words ON file_metadata_cache USING gin(search_vector);
)";

// `position` and `digest` as record.hpp writes them; `files` is what `digest` sums up.
constexpr std::string_view kOthers = R"(
CREATE INDEX file_metadata_cache_id ON file_metadata_cache(id);
CREATE INDEX file_metadata_cache_created ON file_metadata_cache(created_at, id);
CREATE INDEX file_metadata_cache_username ON file_metadata_cache(username, created_at);
CREATE TABLE file_metadata_sync(
  storage_element_id TEXT PRIMARY KEY, position TEXT NOT NULL, digest TEXT NOT NULL,
  files BIGINT NOT NULL, updated_at {time} NOT NULL);
CREATE TABLE file_metadata_dead_letters(
  storage_element_id TEXT NOT NULL, id TEXT NOT NULL, seq BIGINT NOT NULL, content_hash {bytes},
  kept_hash {bytes}, reason TEXT NOT NULL, failed_at {time} NOT NULL, dropped_at {time},
  PRIMARY KEY(storage_element_id, id));
)";

}  // namespace

Result<void> migrate(sql::Connection& connection, db::Engine engine, const Call& call) {
  const bool postgres = engine == db::Engine::postgres;
  const std::string version1 =
      std::string(postgres ? kFilesPostgres : kFilesSqlite) + db::in_words_of(engine, kOthers);
  const std::array steps{sql::Migration{1, version1}};
  return sql::migrate(connection, {.name = "query", .migrations = steps}, call);
}

}  // namespace artcache::query
