// SPDX-License-Identifier: Apache-2.0
// The SQL of all versions: tables, and the triggers that keep log, digest and head.
#include <array>

#include "backends/postgres/schema.hpp"
#include "util/random.hpp"

namespace artcache::postgres {
namespace {

// Functions are pinned to where the tables are: nobody's temporary table takes the place of one.
constexpr std::string_view kPath = R"(
SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);
)";

// The documented table, made or adopted. What it had keeps its names, grants and defaults; only
// limits of lengths go, since limits are the codec's. Columns of ours begin with artcache_.
constexpr std::string_view kFiles = R"(
CREATE TABLE IF NOT EXISTS {p}files(
  file_id uuid PRIMARY KEY,
  original_filename text NOT NULL, storage_filename text NOT NULL, file_size bigint NOT NULL,
  content_type text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(),
  cache_updated_at timestamptz NOT NULL DEFAULT now(), cache_ttl_hours integer NOT NULL DEFAULT 24,
  created_by_id text NOT NULL, created_by_username text NOT NULL, created_by_fullname text,
  description text, version text, storage_path text NOT NULL, checksum text NOT NULL,
  search_vector tsvector, metadata_json jsonb);
DO $body$ DECLARE one record; BEGIN
  IF (SELECT relkind <> 'r' FROM pg_class WHERE oid = '{p}files'::regclass) THEN
    RAISE feature_not_supported USING MESSAGE = '{p}files cannot be adopted: it is no plain table';
  END IF;
  FOR one IN SELECT attname, CASE WHEN atttypid = 'varchar'::regtype THEN 'text' ELSE 'bigint' END
    AS type FROM pg_attribute WHERE attrelid = '{p}files'::regclass AND NOT attisdropped
    AND (atttypid = 'varchar'::regtype OR (attname = 'file_size' AND atttypid = 'integer'::regtype))
  LOOP EXECUTE format('ALTER TABLE {p}files ALTER COLUMN %I TYPE %s', one.attname, one.type);
  END LOOP;
END $body$;
ALTER TABLE {p}files
  ADD COLUMN IF NOT EXISTS cache_updated_at timestamptz NOT NULL DEFAULT now(),
  ADD COLUMN IF NOT EXISTS cache_ttl_hours integer NOT NULL DEFAULT 24,
  ADD COLUMN IF NOT EXISTS search_vector tsvector, ADD COLUMN IF NOT EXISTS metadata_json jsonb,
  ADD COLUMN IF NOT EXISTS tags text[], ADD COLUMN IF NOT EXISTS retention_policy text,
  ADD COLUMN IF NOT EXISTS ttl_days bigint,
  ADD COLUMN IF NOT EXISTS retention_expires_at timestamptz,
  ADD COLUMN IF NOT EXISTS artcache_hash bytea,
  ADD COLUMN IF NOT EXISTS artcache_part numeric(39,0),
  ADD COLUMN IF NOT EXISTS artcache_content bytea,
  ADD COLUMN IF NOT EXISTS artcache_path bytea;
)";

// What cannot be adopted is told by name, and stays as it is.
constexpr std::string_view kFitness = R"(
DO $body$ DECLARE wrong text; BEGIN
  SELECT string_agg(CASE WHEN a.attname IS NULL THEN w.name || ' is missing'
      ELSE format('%s is %s, not %s', w.name, a.atttypid::regtype, w.type::regtype) END, '; ')
    INTO wrong FROM (VALUES ('file_id', 'uuid'), ('original_filename', 'text'),
      ('storage_filename', 'text'), ('file_size', 'bigint'), ('content_type', 'text'),
      ('created_at', 'timestamptz'), ('updated_at', 'timestamptz'),
      ('cache_updated_at', 'timestamptz'), ('cache_ttl_hours', 'integer'),
      ('created_by_id', 'text'), ('created_by_username', 'text'), ('created_by_fullname', 'text'),
      ('description', 'text'), ('version', 'text'), ('storage_path', 'text'), ('checksum', 'text'),
      ('search_vector', 'tsvector'), ('metadata_json', 'jsonb'), ('tags', 'text[]'),
      ('retention_policy', 'text'), ('ttl_days', 'bigint'), ('retention_expires_at', 'timestamptz'),
      ('artcache_hash', 'bytea'), ('artcache_part', 'numeric'), ('artcache_content', 'bytea'),
      ('artcache_path', 'bytea')) AS w(name, type)
    LEFT JOIN pg_attribute a
      ON a.attrelid = '{p}files'::regclass AND a.attname = w.name AND NOT a.attisdropped
    WHERE a.atttypid IS DISTINCT FROM w.type::regtype;
  IF wrong IS NULL AND NOT EXISTS (SELECT FROM pg_index i JOIN pg_attribute a
      ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] AND a.attname = 'file_id'
    WHERE i.indrelid = '{p}files'::regclass AND i.indisunique AND i.indnkeyatts = 1
      AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL) THEN
    wrong := 'file_id is not unique';
  END IF;
  IF wrong IS NOT NULL THEN
    RAISE feature_not_supported USING MESSAGE = '{p}files cannot be adopted: ' || wrong;
  END IF;
END $body$;
CREATE INDEX IF NOT EXISTS idx_{p}created ON {p}files(created_at, file_id);
CREATE INDEX IF NOT EXISTS idx_{p}search_vector ON {p}files USING gin(search_vector);
)";

constexpr std::string_view kTables = R"(
CREATE TABLE {p}head(
  one integer PRIMARY KEY CHECK(one = 1), epoch bigint NOT NULL, seq bigint NOT NULL,
  digest numeric(39,0) NOT NULL, count bigint NOT NULL, bytes numeric NOT NULL,
  generation bigint NOT NULL, base bigint NOT NULL, oldest_seq bigint NOT NULL,
  log_bytes bigint NOT NULL, suspect text) WITH (fillfactor = 20);
CREATE TABLE {p}change(
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tx xid8 NOT NULL DEFAULT pg_current_xact_id(), kind smallint NOT NULL,
  file_id uuid, hash bytea, part numeric NOT NULL, rows bigint NOT NULL, bytes numeric NOT NULL,
  payload bytea);
CREATE TABLE {p}pending(
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  first bigint NOT NULL, last bigint NOT NULL, clears boolean NOT NULL DEFAULT false);
CREATE TABLE {p}log(
  seq bigint PRIMARY KEY, change bigint NOT NULL, digest numeric(39,0) NOT NULL,
  committed_at timestamptz NOT NULL);
CREATE TABLE {p}revision(
  file_id uuid PRIMARY KEY, seq bigint NOT NULL, gone boolean NOT NULL DEFAULT false)
  WITH (fillfactor = 80);
CREATE TABLE {p}scan(
  path bytea PRIMARY KEY, size bigint NOT NULL, mark bytea NOT NULL, file_id uuid NOT NULL,
  hash bytea NOT NULL, updated_at timestamptz NOT NULL);
CREATE INDEX {p}scan_file ON {p}scan(file_id);
CREATE TABLE {p}intent(
  file_id uuid PRIMARY KEY, path bytea NOT NULL, operation integer NOT NULL,
  begun_at timestamptz NOT NULL);
CREATE TABLE {p}note(name bytea PRIMARY KEY, text bytea NOT NULL);
CREATE TABLE {p}load(
  one integer PRIMARY KEY CHECK(one = 1), token bigint NOT NULL, generation bigint NOT NULL,
  begun bigint NOT NULL);
CREATE TABLE {p}touched(
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  file_id uuid UNIQUE, gone boolean NOT NULL DEFAULT false, path bytea UNIQUE);
CREATE TABLE {p}fence(one integer PRIMARY KEY CHECK(one = 1), fence bigint NOT NULL);
CREATE TABLE {p}holder(
  fence bigint PRIMARY KEY, element text NOT NULL, class integer NOT NULL, record text NOT NULL);
CREATE TABLE {p}waiter(
  element text NOT NULL, class integer NOT NULL, name text NOT NULL, record text NOT NULL,
  PRIMARY KEY(element, class, name));
)";

// What a writer does while a bulk load goes on, or waits for somebody to go on with it: noted
// before the head is taken, and committed before or after the load's last look. A load that nobody
// goes on with ends when too much is noted.
constexpr std::string_view kTouch = R"(
CREATE FUNCTION {p}touch(ids uuid[], removed boolean[], paths bytea[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $body$
BEGIN
  INSERT INTO {p}touched(file_id, gone) SELECT * FROM unnest(ids, removed)
    ON CONFLICT (file_id) DO UPDATE SET gone = excluded.gone;
  INSERT INTO {p}touched(path) SELECT * FROM unnest(paths) ON CONFLICT (path) DO NOTHING;
  IF (SELECT max(number) - min(number) FROM {p}touched) >= 100000 THEN
    DELETE FROM {p}load;
    DELETE FROM {p}touched;
  END IF;
  PERFORM 1 FROM {p}head WHERE one = 1 FOR UPDATE;
END $body$;
)";

// The part of one record in the digest, as Digest::of() computes it.
constexpr std::string_view kPart = R"(
CREATE FUNCTION {p}unsigned(eight bytea) RETURNS numeric LANGUAGE sql IMMUTABLE AS $body$
  SELECT n + CASE WHEN n < 0 THEN 18446744073709551616::numeric ELSE 0 END
  FROM (SELECT ('x' || encode(eight, 'hex'))::bit(64)::bigint::numeric AS n) AS signed
$body$;
CREATE FUNCTION {p}part(id uuid, hash bytea) RETURNS numeric LANGUAGE plpgsql IMMUTABLE
SET search_path FROM CURRENT AS $body$
DECLARE sum bytea := sha256(hash || convert_to(id::text, 'UTF8'));
BEGIN
  RETURN {p}unsigned(substr(sum, 1, 8)) * 18446744073709551616::numeric
    + {p}unsigned(substr(sum, 9, 8));
END $body$;
)";

// Rows that come without a hash, or change their content without changing it, were made by hand.
constexpr std::string_view kMark = R"(
CREATE FUNCTION {p}mark() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT AS $body$
BEGIN
  NEW.artcache_hash := uuid_send(gen_random_uuid());
  NEW.artcache_part := {p}part(NEW.file_id, NEW.artcache_hash);
  NEW.artcache_content := NULL;
  IF TG_OP = 'UPDATE' THEN
    UPDATE {p}scan SET mark = decode(repeat('00', 24), 'hex') WHERE file_id = OLD.file_id;
  END IF;
  RETURN NEW;
END $body$;
)";

// One statement: its rows, or one reset when they are too many: more than 10,000, or 5 % of the
// entries and more than one of artcache's own batches. artcache.reset asks for one, and then names
// the row to which the statements after the first add.
constexpr std::string_view kLogStatements = R"(
CREATE FUNCTION {p}too_many(n bigint) RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path FROM CURRENT AS $body$
BEGIN
  RETURN n > 10000 OR (n > 2000 AND n * 20 > (SELECT count FROM {p}head));
END $body$;

CREATE FUNCTION {p}log_reset(parts numeric, count bigint, sizes numeric) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $body$
DECLARE asked text := current_setting('artcache.reset', true); made bigint;
BEGIN
  IF asked ~ '^[0-9]+$' THEN
    UPDATE {p}change SET part = part + parts, rows = rows + count, bytes = bytes + sizes
      WHERE id = asked::bigint AND tx = pg_current_xact_id();
    IF FOUND THEN RETURN; END IF;
  END IF;
  INSERT INTO {p}change(kind, part, rows, bytes) VALUES(2, parts, count, sizes)
    RETURNING id INTO made;
  IF asked = 'on' THEN PERFORM set_config('artcache.reset', made::text, true); END IF;
  INSERT INTO {p}pending(first, last) VALUES(made, made);
END $body$;

CREATE FUNCTION {p}inserted() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT AS $body$
DECLARE n bigint; parts numeric; sizes numeric; from_id bigint; to_id bigint;
BEGIN
  SELECT count(*), sum(artcache_part), sum(file_size) INTO n, parts, sizes FROM new_rows;
  IF n = 0 THEN RETURN NULL; END IF;
  IF {p}too_many(n) OR current_setting('artcache.reset', true) <> '' THEN
    PERFORM {p}log_reset(parts, n, sizes);
    RETURN NULL;
  END IF;
  WITH w AS (INSERT INTO {p}change(kind, file_id, hash, part, rows, bytes, payload)
    SELECT 0, file_id, artcache_hash, artcache_part, 1, file_size, artcache_content FROM new_rows
    RETURNING id) SELECT min(id), max(id) INTO from_id, to_id FROM w;
  INSERT INTO {p}pending(first, last) VALUES(from_id, to_id);
  RETURN NULL;
END $body$;

CREATE FUNCTION {p}deleted() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT AS $body$
DECLARE n bigint := (SELECT count(*) FROM old_rows); from_id bigint; to_id bigint;
BEGIN
  IF n = 0 THEN RETURN NULL; END IF;
  IF current_setting('artcache.writer', true) IS DISTINCT FROM 'on' THEN
    UPDATE {p}scan SET mark = decode(repeat('00', 24), 'hex')
      WHERE file_id IN (SELECT file_id FROM old_rows);
  END IF;
  IF {p}too_many(n) OR current_setting('artcache.reset', true) <> '' THEN
    PERFORM {p}log_reset(-sum(artcache_part), -n, -sum(file_size)) FROM old_rows;
    RETURN NULL;
  END IF;
  WITH w AS (INSERT INTO {p}change(kind, file_id, hash, part, rows, bytes)
    SELECT 1, file_id, artcache_hash, -artcache_part, -1, -file_size FROM old_rows
    RETURNING id) SELECT min(id), max(id) INTO from_id, to_id FROM w;
  INSERT INTO {p}pending(first, last) VALUES(from_id, to_id);
  RETURN NULL;
END $body$;

CREATE FUNCTION {p}updated() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT AS $body$
DECLARE many bigint; from_id bigint; to_id bigint;
BEGIN
  IF {p}too_many((SELECT count(*) FROM new_rows)) THEN
    SELECT count(*) INTO many FROM new_rows n FULL JOIN old_rows o USING(file_id)
      WHERE n.artcache_hash IS DISTINCT FROM o.artcache_hash;
    IF {p}too_many(many) THEN
      PERFORM {p}log_reset((SELECT sum(artcache_part) FROM new_rows)
        - (SELECT sum(artcache_part) FROM old_rows), 0, (SELECT sum(file_size) FROM new_rows)
        - (SELECT sum(file_size) FROM old_rows));
      RETURN NULL;
    END IF;
  END IF;
  WITH w AS (INSERT INTO {p}change(kind, file_id, hash, part, rows, bytes, payload)
    SELECT CASE WHEN n.file_id IS NULL THEN 1 ELSE 0 END, coalesce(n.file_id, o.file_id),
      coalesce(n.artcache_hash, o.artcache_hash),
      coalesce(n.artcache_part, 0) - coalesce(o.artcache_part, 0),
      (n.file_id IS NOT NULL)::int - (o.file_id IS NOT NULL)::int,
      coalesce(n.file_size, 0) - coalesce(o.file_size, 0), n.artcache_content
    FROM new_rows n FULL JOIN old_rows o ON n.file_id = o.file_id
    WHERE n.artcache_hash IS DISTINCT FROM o.artcache_hash
    RETURNING id) SELECT min(id), max(id) INTO from_id, to_id FROM w;
  IF from_id IS NOT NULL THEN
    INSERT INTO {p}pending(first, last) VALUES(from_id, to_id);
  END IF;
  RETURN NULL;
END $body$;

CREATE FUNCTION {p}truncated() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT AS $body$
DECLARE made bigint;
BEGIN
  TRUNCATE {p}scan;
  INSERT INTO {p}change(kind, part, rows, bytes) VALUES(2, 0, 0, 0) RETURNING id INTO made;
  INSERT INTO {p}pending(first, last, clears) VALUES(made, made, true);
  RETURN NULL;
END $body$;
)";

// At commit: the head is taken, so commits are in the order of their numbers, and let go of by it.
// Version 3 has it anew: indexes of earlier builds notify without saying where the log is.
constexpr std::string_view kNumber = R"(
CREATE OR REPLACE FUNCTION {p}number() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT SET enable_seqscan = off AS $body$
DECLARE h {p}head%ROWTYPE; n bigint; parts numeric; counts bigint; sizes numeric; logged bigint;
  resets boolean; modulus CONSTANT numeric := 340282366920938463463374607431768211456;
BEGIN
  SELECT * INTO STRICT h FROM {p}head WHERE one = 1 FOR UPDATE;
  IF NEW.clears THEN
    h.digest := 0; h.count := 0; h.bytes := 0; h.suspect := 'truncated by hand';
  END IF;
  WITH mine AS MATERIALIZED (
    SELECT c.id, c.kind, c.file_id, c.part, c.rows, c.bytes, length(c.payload) AS length,
      h.seq + row_number() OVER w AS seq, sum(c.part) OVER w AS moved
    FROM {p}change c WHERE c.id BETWEEN NEW.first AND NEW.last AND c.tx = pg_current_xact_id()
    WINDOW w AS (ORDER BY c.id ROWS UNBOUNDED PRECEDING)),
  logging AS (INSERT INTO {p}log(seq, change, digest, committed_at)
    SELECT seq, id, mod(mod(h.digest + moved, modulus) + modulus, modulus), clock_timestamp()
    FROM mine),
  putting AS (INSERT INTO {p}revision(file_id, seq, gone)
    SELECT file_id, seq, kind = 1 FROM mine WHERE file_id IS NOT NULL
    ON CONFLICT (file_id) DO UPDATE SET seq = excluded.seq, gone = excluded.gone)
  SELECT count(*), sum(part), sum(rows), sum(bytes),
    sum(80 + coalesce(length, 0)), bool_or(kind = 2)
    INTO n, parts, counts, sizes, logged, resets FROM mine;
  IF n > 0 THEN
    IF resets THEN
      DELETE FROM {p}revision;
      h.base := h.seq + n;
    END IF;
    UPDATE {p}head SET seq = h.seq + n,
      digest = mod(mod(h.digest + parts, modulus) + modulus, modulus),
      count = h.count + counts, bytes = h.bytes + sizes, base = h.base, suspect = h.suspect,
      log_bytes = h.log_bytes + logged WHERE one = 1;
    PERFORM pg_notify('{p}head', lpad(to_hex(h.epoch), 16, '0') || '/' || (h.seq + n));
  END IF;
  DELETE FROM {p}pending WHERE id = NEW.id;
  RETURN NULL;
END $body$;
)";

constexpr std::string_view kNumbering = R"(
CREATE CONSTRAINT TRIGGER {p}number AFTER INSERT ON {p}pending DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION {p}number();
)";

// Takes what is beyond the limits off the old end, and the head where there is something.
constexpr std::string_view kTrim = R"(
CREATE FUNCTION {p}trim(rows_most bigint, bytes_most bigint, age_most interval, at_once bigint)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT SET enable_seqscan = off AS $body$
DECLARE h {p}head%ROWTYPE; cut bigint; freed bigint;
BEGIN
  SELECT * INTO STRICT h FROM {p}head WHERE one = 1;
  IF h.seq - h.oldest_seq < rows_most AND h.log_bytes <= bytes_most AND NOT EXISTS (
    SELECT 1 FROM {p}log WHERE seq = h.oldest_seq AND committed_at < clock_timestamp() - age_most)
  THEN RETURN; END IF;
  SELECT * INTO STRICT h FROM {p}head WHERE one = 1 FOR UPDATE;
  SELECT max(seq), max(gone) INTO cut, freed FROM (
    SELECT l.seq, l.committed_at,
      sum(80 + coalesce(length(c.payload), 0)) OVER (ORDER BY l.seq) AS gone,
      80 + coalesce(length(c.payload), 0) AS own
    FROM {p}log l JOIN {p}change c ON c.id = l.change
    WHERE l.seq >= h.oldest_seq AND l.seq < h.oldest_seq + at_once) AS old
  WHERE h.seq - seq >= rows_most OR h.log_bytes - gone + own > bytes_most
    OR committed_at < clock_timestamp() - age_most;
  IF cut IS NULL THEN RETURN; END IF;
  WITH dropped AS (DELETE FROM {p}log WHERE seq <= cut RETURNING change),
  forgotten AS (DELETE FROM {p}change c USING dropped WHERE c.id = dropped.change
    RETURNING c.file_id, c.kind)
  DELETE FROM {p}revision r USING forgotten f
    WHERE f.kind = 1 AND r.file_id = f.file_id AND r.gone AND r.seq <= cut;
  UPDATE {p}head SET oldest_seq = cut + 1, log_bytes = greatest(log_bytes - freed, 0)
    WHERE one = 1;
END $body$;
)";

// What an adopted table holds is the first change.
constexpr std::string_view kBeginning = R"(
UPDATE {p}files SET artcache_hash = uuid_send(gen_random_uuid()), artcache_content = NULL;
UPDATE {p}files SET artcache_part = {p}part(file_id, artcache_hash);
INSERT INTO {p}change(kind, part, rows, bytes)
  SELECT 2, mod(sum(artcache_part), 340282366920938463463374607431768211456), count(*),
    sum(file_size) FROM {p}files HAVING count(*) > 0;
INSERT INTO {p}log(seq, change, digest, committed_at)
  SELECT 1, id, part, clock_timestamp() FROM {p}change;
INSERT INTO {p}fence VALUES(1, 0);
INSERT INTO {p}head SELECT 1, {epoch}, count(*), coalesce(sum(part), 0),
  coalesce(sum(rows), 0), coalesce(sum(bytes), 0), 1, count(*), 1, 80 * count(*),
  'no complete rebuild yet' FROM {p}change;
)";

constexpr std::string_view kTriggers = R"(
CREATE TRIGGER artcache_inserted AFTER INSERT ON {p}files REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION {p}inserted();
CREATE TRIGGER artcache_updated AFTER UPDATE ON {p}files
  REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION {p}updated();
CREATE TRIGGER artcache_deleted AFTER DELETE ON {p}files REFERENCING OLD TABLE AS old_rows
  FOR EACH STATEMENT EXECUTE FUNCTION {p}deleted();
CREATE TRIGGER artcache_truncated AFTER TRUNCATE ON {p}files
  FOR EACH STATEMENT EXECUTE FUNCTION {p}truncated();
CREATE TRIGGER artcache_mark_insert BEFORE INSERT ON {p}files FOR EACH ROW
  WHEN (NEW.artcache_hash IS NULL) EXECUTE FUNCTION {p}mark();
CREATE TRIGGER artcache_mark_update BEFORE UPDATE ON {p}files FOR EACH ROW
  WHEN (NEW.artcache_hash IS NULL OR (NEW.artcache_hash = OLD.artcache_hash AND
    (OLD.file_id, OLD.original_filename, OLD.storage_filename, OLD.file_size, OLD.content_type,
     OLD.created_at, OLD.updated_at, OLD.created_by_id, OLD.created_by_username,
     OLD.created_by_fullname, OLD.description, OLD.version, OLD.storage_path, OLD.checksum,
     OLD.metadata_json, OLD.tags, OLD.retention_policy, OLD.ttl_days, OLD.retention_expires_at,
     OLD.artcache_part, OLD.artcache_content)
    IS DISTINCT FROM
    (NEW.file_id, NEW.original_filename, NEW.storage_filename, NEW.file_size, NEW.content_type,
     NEW.created_at, NEW.updated_at, NEW.created_by_id, NEW.created_by_username,
     NEW.created_by_fullname, NEW.description, NEW.version, NEW.storage_path, NEW.checksum,
     NEW.metadata_json, NEW.tags, NEW.retention_policy, NEW.ttl_days, NEW.retention_expires_at,
     NEW.artcache_part, NEW.artcache_content)))
  EXECUTE FUNCTION {p}mark();
)";

// A load begun before has staged no text hashes.
constexpr std::string_view kTextHash = R"(
ALTER TABLE {p}scan ADD COLUMN text_hash bigint NOT NULL DEFAULT 0;
ALTER TABLE {p}scan ALTER COLUMN text_hash DROP DEFAULT;
DELETE FROM {p}load;
DELETE FROM {p}touched;
DROP TABLE IF EXISTS {p}stage, {p}rescan;
)";

/// Random, and never 0, which stands for no epoch.
std::string random_epoch() {
  std::array<std::uint8_t, 8> random{};
  util::fill_random(random);
  std::uint64_t epoch = 0;
  for (const std::uint8_t byte : random) epoch = epoch << 8 | byte;
  // The least number of all has no positive twin, so SQL cannot spell it.
  epoch = epoch == 0 || epoch == std::uint64_t{1} << 63 ? 1 : epoch;
  return std::to_string(static_cast<std::int64_t>(epoch));
}

}  // namespace

std::string_view trigger_text() { return kTriggers; }

std::string first_version(const Names& names) {
  std::string beginning(kBeginning);
  constexpr std::string_view kEpoch = "{epoch}";
  beginning.replace(beginning.find(kEpoch), kEpoch.size(), "(" + random_epoch() + ")");
  std::string text;
  for (const std::string_view part : {kPath, kFiles, kFitness, kTables, kTouch, kPart,
                                      kLogStatements, kNumber, kNumbering, kTrim})
    text.append(names.text(part));
  return text + names.text(kMark) + names.text(beginning) + names.text(kTriggers);
}

std::string second_version(const Names& names) { return names.text(kTextHash); }

std::string third_version(const Names& names) { return names.text(kPath) + names.text(kNumber); }

}  // namespace artcache::postgres
