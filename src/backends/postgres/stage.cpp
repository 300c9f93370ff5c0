// SPDX-License-Identifier: Apache-2.0
#include "backends/postgres/stage.hpp"

#include <string>

#include "util/try.hpp"

namespace artcache::postgres {

// Logged, as what it becomes is. Vacuum would only be in the way.
const std::string_view kMakeStageText = R"(
DROP TABLE IF EXISTS {p}stage, {p}rescan;
CREATE TABLE {p}stage(
  LIKE {p}files INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING IDENTITY INCLUDING STORAGE
    INCLUDING COMMENTS,
  scan_id uuid, scan_size bigint, scan_updated timestamptz, scan_hash bytea, scan_mark bytea,
  scan_text_hash bigint, scan_path bytea) WITH (autovacuum_enabled = off);
)";

// A file that was read twice counts as it was read last; of two files with one id the newer.
const std::string_view kDropDoublesText = R"(
DELETE FROM {p}stage WHERE ctid IN (SELECT ctid FROM (
  SELECT ctid, row_number() OVER (PARTITION BY scan_path ORDER BY ctid DESC) AS n
  FROM {p}stage WHERE scan_path IN (
    SELECT scan_path FROM {p}stage GROUP BY scan_path HAVING count(*) > 1)) AS ranked
  WHERE n > 1);
)";
const std::string_view kDropTwinsText = R"(
DELETE FROM {p}stage WHERE ctid IN (SELECT ctid FROM (
  SELECT ctid, row_number() OVER (
    PARTITION BY scan_id ORDER BY updated_at DESC, scan_path, ctid DESC) AS n
  FROM {p}stage WHERE scan_id IN (
    SELECT scan_id FROM {p}stage GROUP BY scan_id HAVING count(*) > 1)) AS ranked
  WHERE n > 1);
)";

namespace {

// First what the tables themselves are, then their columns, then indexes and triggers by name, then
// that nothing else refers to the table: views, rules, policies, publications, foreign keys.
constexpr std::string_view kMayReplaceText = R"(
SELECT f.relkind = 'r' AND f.relpersistence = s.relpersistence
  AND (f.relowner, f.reltablespace, f.relam, f.relreplident, f.relrowsecurity)
    = (s.relowner, s.reltablespace, s.relam, s.relreplident, s.relrowsecurity)
  AND f.relacl IS NOT DISTINCT FROM s.relacl AND f.reloptions IS NULL
  AND NOT EXISTS (SELECT FROM pg_class WHERE oid = f.reltoastrelid AND reloptions IS NOT NULL)
  AND (SELECT relacl FROM pg_class WHERE oid = '{p}scan'::regclass) IS NOT DISTINCT FROM s.relacl
  AND (SELECT array_agg({column} ORDER BY attnum)
    FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attrelid = f.oid AND attnum > 0 AND NOT attisdropped)
  = (SELECT array_agg({column} ORDER BY attnum)
    FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attrelid = s.oid AND attnum > 0 AND NOT attisdropped AND attname NOT IN
      ('scan_id', 'scan_size', 'scan_updated', 'scan_hash', 'scan_mark', 'scan_text_hash',
       'scan_path'))
  AND NOT EXISTS (SELECT FROM pg_attribute
    WHERE attrelid = f.oid AND NOT attisdropped AND (attidentity <> '' OR attgenerated <> ''))
  AND (SELECT array_agg(c.relname || substring(pg_get_indexdef(c.oid) FROM ' USING .*')
      ORDER BY c.relname = '{p}files_pkey' DESC, c.relname = 'idx_{p}created' DESC)
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = f.oid
      AND i.indisvalid AND NOT i.indisclustered AND c.reltablespace = f.reltablespace)
  = ARRAY['{p}files_pkey USING btree (file_id)',
    'idx_{p}created USING btree (created_at, file_id)',
    'idx_{p}search_vector USING gin (search_vector)']
  AND (SELECT count(*) FROM pg_index WHERE indrelid = f.oid) = 3
  AND (SELECT array_agg(tgname || ' ' || tgenabled::text ORDER BY tgname COLLATE "C")
    FROM pg_trigger WHERE tgrelid = f.oid AND NOT tgisinternal)
  = ARRAY['artcache_deleted O', 'artcache_inserted O', 'artcache_mark_insert O',
    'artcache_mark_update O', 'artcache_truncated O', 'artcache_updated O']
  AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = f.oid)
  AND NOT EXISTS (SELECT FROM pg_description
    WHERE classoid = 'pg_class'::regclass AND objoid = f.oid AND objsubid = 0)
  AND NOT EXISTS (SELECT FROM pg_depend
    WHERE refclassid = 'pg_class'::regclass AND refobjid = f.oid
      AND classid NOT IN ('pg_type'::regclass, 'pg_attrdef'::regclass, 'pg_trigger'::regclass)
      AND NOT (classid = 'pg_class'::regclass AND objid IN (
        SELECT oid FROM pg_class WHERE relkind IN ('i', 't')))
      AND NOT (classid = 'pg_constraint'::regclass AND objid IN (
        SELECT oid FROM pg_constraint WHERE conrelid = f.oid AND contype IN ('p', 'n'))))
FROM pg_class f, pg_class s WHERE f.oid = '{p}files'::regclass AND s.oid = '{p}stage'::regclass
)";

// Servers keep marks of their own among the options of a column; people set n_distinct…
constexpr std::string_view kColumnText =
    "(attname, atttypid, atttypmod, attnotnull, attcollation, attstorage, attstattarget, attacl, "
    "(SELECT array_agg(o) FROM unnest(attoptions) AS o WHERE o LIKE 'n\\_distinct%'), "
    "pg_get_expr(adbin, adrelid))::text";

constexpr std::string_view kRoomText = R"(
SELECT set_config(name, '131072', true) FROM pg_settings
  WHERE name = 'maintenance_work_mem' AND setting::bigint < 131072;
)";
constexpr std::string_view kRescanText = R"(
DROP TABLE IF EXISTS {p}rescan;
CREATE TABLE {p}rescan(LIKE {p}scan INCLUDING STORAGE);
INSERT INTO {p}rescan(path, size, mark, file_id, hash, updated_at, text_hash)
  SELECT scan_path, scan_size, scan_mark, scan_id, scan_hash, scan_updated, scan_text_hash
  FROM {p}stage WHERE scan_path IS NOT NULL;
ALTER TABLE {p}rescan ADD CONSTRAINT {p}rescan_pkey PRIMARY KEY(path);
CREATE INDEX {p}rescan_file ON {p}rescan(file_id);
)";

// Locks that let others read the stage. Sums of what is staged: what is taken out and put in later
// is added to them.
constexpr std::string_view kBuildText = R"(
CREATE UNIQUE INDEX {p}stage_pkey ON {p}stage(file_id);
CREATE INDEX {p}stage_created ON {p}stage(created_at, file_id);
CREATE INDEX {p}stage_words ON {p}stage USING gin(search_vector);
CREATE TEMP TABLE artcache_sums ON COMMIT DROP AS
  SELECT sum(artcache_part) AS parts, count(*) AS rows, sum(file_size) AS bytes FROM {p}stage;
)";

// A reader that is made to wait does so for a tenth of a second.
constexpr std::string_view kTakeText = R"(
SET LOCAL lock_timeout = 100;
DO $body$ BEGIN
  FOR attempt IN 1..10 LOOP
    BEGIN
      LOCK TABLE {p}files, {p}scan IN ACCESS EXCLUSIVE MODE;
      RETURN;
    EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
      PERFORM pg_sleep(0.05);
    END;
  END LOOP;
  RAISE lock_not_available USING MESSAGE = '{p}files is in use';
END $body$;
SET LOCAL lock_timeout = 0;
)";

constexpr std::string_view kReplaceText = R"(
WITH gone AS (DELETE FROM {p}stage USING artcache_touched t WHERE {p}stage.file_id = t.file_id
  RETURNING artcache_part, file_size)
INSERT INTO artcache_sums SELECT -sum(artcache_part), -count(*), -sum(file_size) FROM gone;
ALTER TABLE {p}stage RESET (autovacuum_enabled), DROP COLUMN scan_id, DROP COLUMN scan_size,
  DROP COLUMN scan_updated, DROP COLUMN scan_hash, DROP COLUMN scan_mark,
  DROP COLUMN scan_text_hash, DROP COLUMN scan_path;
WITH kept AS (INSERT INTO {p}stage SELECT f.* FROM {p}files f
  WHERE file_id IN (SELECT file_id FROM artcache_touched) RETURNING artcache_part, file_size)
INSERT INTO artcache_sums SELECT sum(artcache_part), count(*), sum(file_size) FROM kept;
DELETE FROM {p}rescan r USING artcache_touched t WHERE r.file_id = t.file_id;
DELETE FROM {p}rescan r USING artcache_touched t WHERE r.path = t.path;
INSERT INTO {p}rescan SELECT * FROM {p}scan
  WHERE file_id IN (SELECT file_id FROM artcache_touched)
    OR path IN (SELECT path FROM artcache_touched)
  ON CONFLICT (path) DO UPDATE SET size = excluded.size, mark = excluded.mark,
    file_id = excluded.file_id, hash = excluded.hash, updated_at = excluded.updated_at,
    text_hash = excluded.text_hash;
SELECT {p}log_reset(parts - digest, rows - count, bytes - size) FROM (
  SELECT coalesce(sum(s.parts), 0) AS parts, coalesce(sum(s.rows), 0)::bigint AS rows,
    coalesce(sum(s.bytes), 0) AS bytes, h.digest, h.count, h.bytes AS size
  FROM {p}head h, artcache_sums s GROUP BY h.digest, h.count, h.bytes) AS sums
  WHERE rows > 0 OR count > 0;
DROP TABLE {p}files, {p}scan;
ALTER TABLE {p}stage RENAME TO {p}files;
ALTER TABLE {p}files ADD CONSTRAINT {p}files_pkey PRIMARY KEY USING INDEX {p}stage_pkey;
ALTER INDEX {p}stage_created RENAME TO idx_{p}created;
ALTER INDEX {p}stage_words RENAME TO idx_{p}search_vector;
ALTER TABLE {p}rescan RENAME TO {p}scan;
ALTER INDEX {p}rescan_pkey RENAME TO {p}scan_pkey;
ALTER INDEX {p}rescan_file RENAME TO {p}scan_file;
)";

}  // namespace

Result<bool> may_replace(sql::PostgresConnection& connection, const Names& names) {
  std::string text = names.text(kMayReplaceText);
  constexpr std::string_view kColumn = "{column}";
  for (std::size_t at = 0; (at = text.find(kColumn, at)) != std::string::npos;)
    text.replace(at, kColumn.size(), kColumnText);
  ARTCACHE_TRY(sql::Statement * s, connection.prepare(text));
  ARTCACHE_CHECK(s->step());
  const bool may = !s->is_null(0) && s->integer(0) != 0;
  s->reset();
  return may;
}

Result<void> build_scan(sql::PostgresConnection& connection, const Names& names) {
  return connection.execute(names.text(std::string(kRoomText).append(kRescanText)));
}

Result<void> build_stage(sql::PostgresConnection& connection, const Names& names) {
  return connection.execute(names.text(std::string(kRoomText).append(kBuildText)));
}

Result<void> take_tables(sql::PostgresConnection& connection, const Names& names) {
  return connection.execute(names.text(kTakeText));
}

Result<void> replace_tables(sql::PostgresConnection& connection, const Names& names) {
  return connection.execute(names.text(std::string(kReplaceText).append(trigger_text())));
}

}  // namespace artcache::postgres
