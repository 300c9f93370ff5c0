// SPDX-License-Identifier: Apache-2.0
#include "roles/ingester/schema.hpp"

#include <array>

#include "sql/migrate.hpp"

namespace artcache::ingester {
namespace {

// One running transaction a file, which the partial index sees to.
constexpr std::string_view kVersion1 = R"(
CREATE TABLE ingester_finalizes(
  id TEXT PRIMARY KEY, file_id TEXT NOT NULL, source TEXT NOT NULL, target TEXT NOT NULL,
  status TEXT NOT NULL, attempts BIGINT NOT NULL, verified {flag} NOT NULL, error TEXT NOT NULL,
  description TEXT, metadata TEXT, requested_by TEXT NOT NULL,
  created_at {time} NOT NULL, completed_at {time}, cleanup_at {time});
CREATE UNIQUE INDEX ingester_finalizes_running ON ingester_finalizes(file_id)
  WHERE status IN ('copying', 'copied', 'verifying');
CREATE INDEX ingester_finalizes_file ON ingester_finalizes(file_id, created_at);
CREATE TABLE ingester_cleanups(
  file_id TEXT NOT NULL, element TEXT NOT NULL, keeper TEXT NOT NULL, reason TEXT NOT NULL,
  attempts BIGINT NOT NULL, due_at {time} NOT NULL, PRIMARY KEY(file_id, element));
CREATE INDEX ingester_cleanups_due ON ingester_cleanups(due_at);
)";

// What the source said when the copy was made; null before that, or before this was kept.
constexpr std::string_view kVersion2 = "ALTER TABLE ingester_finalizes ADD COLUMN base TEXT;";

// What has ended is found by its time to be forgotten.
constexpr std::string_view kVersion3 =
    "CREATE INDEX IF NOT EXISTS ingester_finalizes_ended ON ingester_finalizes(completed_at);";

}  // namespace

Result<void> migrate(sql::Connection& connection, db::Engine engine, const Call& call) {
  const std::string version1 = db::in_words_of(engine, kVersion1);
  const std::array steps{sql::Migration{1, version1}, sql::Migration{2, kVersion2},
                         sql::Migration{3, kVersion3}};
  return sql::migrate(connection, {.name = "ingester", .migrations = steps}, call);
}

}  // namespace artcache::ingester
