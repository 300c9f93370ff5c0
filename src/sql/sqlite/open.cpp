// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <utility>

#include "sql/sqlite/handle.hpp"
#include "util/try.hpp"

namespace artcache::sql {
namespace {

/// How many steps of SQLite's machine lie between two looks at the clock: about 0.1 ms.
constexpr int kOpsBetweenLooks = 4000;
/// What the log shrinks back to after a transaction that made it longer.
constexpr std::int64_t kLogBytesKept = std::int64_t{64} << 20;

/// Every option of a connection is said, since distributions build SQLite with other defaults.
std::string settings(const SqliteOptions& options) {
  std::string text;
  const auto set = [&text](const char* name, const std::string& value) {
    text.append("PRAGMA ").append(name).append("=").append(value).append(";");
  };
  // EXTRA is FULL in WAL mode. Before that, when a new file is switched to WAL, it makes the
  // removal of the rollback journal durable: if the journal came back after a power cut, it would
  // empty the file, and the log with all its commits would be taken for a stranger's.
  constexpr std::array kSynchronous = {"EXTRA", "NORMAL", "OFF"};
  set("synchronous", kSynchronous[static_cast<std::size_t>(options.synchronous)]);
  set("cache_size", std::to_string(-options.cache_kib));
  set("temp_store", options.temporary == Temporary::memory ? "MEMORY" : "FILE");
  set("threads", std::to_string(options.sort_threads));
  set("foreign_keys", "OFF");
  set("recursive_triggers", "OFF");
  // Deleted rows are no secrets, and overwriting them with zeros writes their pages once more.
  set("secure_delete", "OFF");
  // A failing disk, or somebody who cuts the file, would end the host's process with SIGBUS.
  set("mmap_size", "0");
  set("wal_autocheckpoint", std::to_string(options.checkpoint_pages));
  set("journal_size_limit", std::to_string(kLogBytesKept));
  if (options.sharing == Sharing::exclusive) set("locking_mode", "EXCLUSIVE");
  // Rows are about 800 bytes: larger pages write more for each changed row, smaller ones make the
  // trees deeper. Only tells for a file that has no pages yet.
  if (options.mode == SqliteMode::read_write_create) set("page_size", "4096");
  return text;
}

/// What SQLite is to open: never a URI or a name with a meaning of its own.
std::string as_plain_path(const std::string& path) {
  return path.front() == '/' ? path : "./" + path;
}

std::string as_immutable_uri(const std::string& path) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string uri = "file:";
  for (const char c : as_plain_path(path)) {
    if (c != '%' && c != '?' && c != '#') {
      uri.push_back(c);
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    uri.append({'%', kDigits[byte >> 4], kDigits[byte & 15]});
  }
  return uri + "?immutable=1";
}

Result<SqliteHandle> open_handle(const SqliteOptions& options, bool frozen) {
  if (sqlite3_threadsafe() == 0)
    return Error{Errc::unsupported, "sqlite: the library was built without threads"};
  int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
  switch (options.mode) {
    case SqliteMode::read_write_create:
      flags |= SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
      break;
    case SqliteMode::read_write:
      flags |= SQLITE_OPEN_READWRITE;
      break;
    case SqliteMode::read_only:
      flags |= SQLITE_OPEN_READONLY;
      break;
  }
  if (frozen) flags |= SQLITE_OPEN_URI;
  const std::string name = frozen ? as_immutable_uri(options.path) : as_plain_path(options.path);
  sqlite3* made = nullptr;
  const int code = sqlite3_open_v2(name.c_str(), &made, flags,
                                   options.vfs.empty() ? nullptr : options.vfs.c_str());
  SqliteHandle handle(made);
  if (code == SQLITE_OK) return handle;
  return sqlite_error(SqliteFailure::of(made, code), options.path, "open", std::nullopt);
}

}  // namespace

SqliteConnection::SqliteConnection(const SqliteOptions& options, SqliteHandle handle)
    : path_(options.path), patience_(*options.clock), db_(std::move(handle)) {
  sqlite3* db = db_.get();
  sqlite3_extended_result_codes(db, 1);
  sqlite3_busy_handler(
      db, [](void* self, int) -> int { return static_cast<Patience*>(self)->wait() ? 1 : 0; },
      &patience_);
  sqlite3_progress_handler(
      db, kOpsBetweenLooks,
      [](void* self) -> int {
        const auto& connection = *static_cast<SqliteConnection*>(self);
        return !connection.finishing_ && connection.patience_.over() ? 1 : 0;
      },
      this);
  // The file may come from anywhere: its schema runs nothing with side effects and cannot be
  // bent by statements; and a misspelt column is an error, not a text.
  sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DML, 0, nullptr);
  sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DDL, 0, nullptr);
}

SqliteConnection::~SqliteConnection() = default;

Result<void> SqliteConnection::compile_own() {
  const auto make = [this](SqliteStatementHandle& place, std::string_view sql) -> Result<void> {
    std::string_view rest;
    ARTCACHE_TRY(place, compile(sql, &rest));
    return {};
  };
  ARTCACHE_CHECK(make(begin_read_, "BEGIN"));
  ARTCACHE_CHECK(make(begin_write_, "BEGIN IMMEDIATE"));
  ARTCACHE_CHECK(make(commit_, "COMMIT"));
  return make(rollback_, "ROLLBACK");
}

Result<void> SqliteConnection::choose_wal() {
  ARTCACHE_TRY(Statement * chosen, prepare("PRAGMA journal_mode=WAL"));
  ARTCACHE_TRY(const bool row, chosen->step());
  const std::string mode(row ? chosen->text(0) : "");
  chosen->reset();
  if (mode == "wal") return {};
  return Error{Errc::unsupported, "sqlite: open '" + path_ + "': journal mode is '" + mode +
                                      "', and WAL cannot be had here: use a local disk"};
}

Result<void> SqliteConnection::prepare_for_use(const SqliteOptions& options) {
  ARTCACHE_CHECK(execute(settings(options)));
  if (options.mode != SqliteMode::read_only) {
    ARTCACHE_CHECK(choose_wal());
    // SQLite opens what it may not write without a word.
    if (sqlite3_db_readonly(db_.get(), "main") == 1)
      return Error{Errc::unavailable,
                   "sqlite: open '" + path_ + "': the file cannot be written: give write access"};
  }
  // Reads the header and the whole schema, so what is no database ends here.
  ARTCACHE_CHECK(execute("SELECT 1 FROM sqlite_master LIMIT 1"));
  return compile_own();
}

Result<std::unique_ptr<Connection>> open_sqlite(const SqliteOptions& options, const Call& call) {
  ARTCACHE_CHECK(call.check("sqlite: open '" + options.path + "'", *options.clock));
  ARTCACHE_CHECK(check_place(options));
  const bool frozen = options.vfs.empty() && options.mode == SqliteMode::read_only &&
                      FrozenFile::is_frozen(options.path);
  std::optional<FrozenFile> file;
  if (frozen) file.emplace(options.path);
  ARTCACHE_TRY(auto handle, open_handle(options, frozen));
  auto connection = std::make_unique<SqliteConnection>(options, std::move(handle));
  connection->set_call(&call);
  ARTCACHE_CHECK(connection->prepare_for_use(options));
  connection->set_call(nullptr);
  if (file) {
    ARTCACHE_CHECK(file->check());
    connection->set_frozen(*std::move(file));
  }
  return std::unique_ptr<Connection>(std::move(connection));
}

}  // namespace artcache::sql
