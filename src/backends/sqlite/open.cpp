// SPDX-License-Identifier: Apache-2.0
// From an address to an open index.
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "backends/sqlite/index.hpp"
#include "sql/sqlite/connection.hpp"
#include "util/owner_lock.hpp"
#include "util/try.hpp"

namespace artcache::sqlite {
namespace {

sql::SqliteOptions connection_options(const IndexOptions& options, const Deps& deps) {
  sql::SqliteOptions out;
  out.path = options.path;
  out.vfs = options.vfs;
  out.clock = deps.clock;
  out.synchronous = options.durable ? sql::Synchronous::full : sql::Synchronous::off;
  return out;
}

/// The one that writes makes indexes too, with all their rows to be sorted.
sql::SqliteOptions writer_options(sql::SqliteOptions options) {
  options.temporary = sql::Temporary::file;
  options.sort_threads = 1;
  options.cache_kib = 16 * 1024;
  return options;
}

/// `mem:` is an index on a file of its own that nobody else can find.
Result<std::string> private_file() {
  const char* folder = std::getenv("TMPDIR");
  std::string path = std::string(folder != nullptr && *folder != '\0' ? folder : "/tmp") +
                     "/artcache-index-XXXXXX";
  const int fd = ::mkstemp(path.data());
  if (fd < 0)
    return Error{Errc::unavailable, "mem: cannot make a temporary file '" + path +
                                        "'; set TMPDIR to a folder with space"};
  ::close(fd);
  return path;
}

}  // namespace

Result<std::unique_ptr<MetadataStore>> open_index(const IndexOptions& options, const Deps& deps,
                                                  const Call& call) {
  ARTCACHE_TRY(Names names, Names::with_prefix(options.prefix));
  const sql::SqliteOptions connection = connection_options(options, deps);
  sql::SqliteOptions writer = writer_options(connection);
  if (!options.create) writer.mode = sql::SqliteMode::read_write;
  ARTCACHE_TRY(auto writing, sql::open_sqlite(writer, call));
  if (!options.create) {
    writing->set_call(&call);
    ARTCACHE_TRY(const sql::SchemaVersions found, read_versions(*writing, names));
    if (found.version == 0)
      return Error{Errc::not_found, "'" + options.path + "': there is no index in it"};
  }
  ARTCACHE_CHECK(create(*writing, names, call));
  // From here on the file is there, and must not be made anew when it is not.
  const auto further = [](sql::SqliteOptions chosen) -> Index::Connect {
    chosen.mode = sql::SqliteMode::read_write;
    return [chosen](const Call& c) { return sql::open_sqlite(chosen, c); };
  };
  IndexOptions chosen = options;
  if (chosen.boot.empty()) chosen.boot = util::boot_id();
  // A file of our own, or of another file system than the kernel's, has no peers.
  const bool alone = options.delete_on_close || !options.vfs.empty();
  Peers peers = alone ? Peers() : Peers::beside(options.path, *deps.logger);
  auto index = std::make_unique<Index>(
      std::move(chosen), std::move(names), deps,
      Index::Connections{further(connection), further(writer), std::move(writing)},
      std::move(peers));
  ARTCACHE_CHECK(index->open(call));
  return std::unique_ptr<MetadataStore>(std::move(index));
}

namespace {

/// Of a file; `mem:` needs none.
Result<IndexOptions> options_of(const Url& url) {
  ARTCACHE_CHECK(url.expect_only({"prefix", "create", "sync", "log_rows", "log_bytes", "log_age"}));
  IndexOptions options;
  options.prefix = url.parameter("prefix").value_or("");
  ARTCACHE_TRY(options.create, url.flag("create", true));
  ARTCACHE_TRY(options.durable, url.flag("sync", true));
  ARTCACHE_TRY(const auto rows, url.integer("log_rows", 100'000, 1, 1'000'000'000));
  ARTCACHE_TRY(const auto bytes, url.integer("log_bytes", 256LL * 1024 * 1024, 1, 1LL << 50));
  ARTCACHE_TRY(const auto age, url.duration("log_age", options.retention.age_most));
  options.retention = {static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(bytes), age};
  if (url.scheme() == "mem") return options;
  if (!url.hosts().empty() || !url.path().starts_with('/'))
    return Error{Errc::invalid_argument,
                 "sqlite: the address needs an absolute path, such as sqlite:///var/lib/index.db"};
  options.path = url.path();
  return options;
}

}  // namespace

Result<std::unique_ptr<MetadataStore>> open_index(const Url& url, const Deps& deps,
                                                  const Call& call) {
  ARTCACHE_TRY(IndexOptions options, options_of(url));
  if (url.scheme() == "mem") {
    if (!url.path().empty() || !url.hosts().empty())
      return Error{Errc::invalid_argument,
                   "mem: takes no name; every opening is an index of its own"};
    ARTCACHE_TRY(options.path, private_file());
    options.delete_on_close = true;
    options.durable = false;
    auto index = open_index(options, deps, call);
    if (!index) ::unlink(options.path.c_str());
    return index;
  }
  return open_index(options, deps, call);
}

Result<Migrated> migrate_index(const Url& url, const Deps& deps, const Call& call) {
  ARTCACHE_TRY(const IndexOptions options, options_of(url));
  ARTCACHE_TRY(const Names names, Names::with_prefix(options.prefix));
  sql::SqliteOptions existing = writer_options(connection_options(options, deps));
  existing.mode = sql::SqliteMode::read_write;
  ARTCACHE_TRY(const auto connection, sql::open_sqlite(existing, call));
  connection->set_call(&call);
  ARTCACHE_TRY(const sql::SchemaVersions before, read_versions(*connection, names));
  ARTCACHE_CHECK(migrate(*connection, names, call));
  ARTCACHE_TRY(const sql::SchemaVersions after, read_versions(*connection, names));
  return Migrated{before.version, after.version};
}

}  // namespace artcache::sqlite
