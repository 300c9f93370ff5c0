// SPDX-License-Identifier: Apache-2.0
// From an address to an open index.
#include "backends/postgres/columns.hpp"
#include "backends/postgres/index.hpp"
#include "util/try.hpp"

namespace artcache::postgres {
namespace {

/// Where the kernel locks of holders on this machine are kept: one folder for all its processes.
constexpr std::string_view kOwnersFolder = "/var/lock";

}  // namespace

Index::Index(IndexOptions options, Names names, const Deps& deps)
    : options_(std::move(options)),
      names_(std::move(names)),
      deps_(deps),
      links_(options_.connection, options_.connections_most, deps),
      watch_(links_, names_),
      writer_(links_, names_, options_.retention, deps,
              [this](const IndexHead& head) { watch_.moved(head.position.seq); }),
      find_text_(names_.text("SELECT v.version, v.reader, v.writer, " + entry_columns() +
                             " FROM {p}schema v CROSS JOIN {p}head h "
                             "LEFT JOIN {p}files f ON f.file_id = $1 "
                             "LEFT JOIN {p}revision r ON r.file_id = f.file_id "
                             "WHERE v.name = 'index'")),
      usual_locks_(names_) {}

std::string Index::describe() const { return options_.connection.describe; }

Result<std::unique_ptr<MetadataStore>> open_index(const IndexOptions& options, const Deps& deps,
                                                  const Call& call) {
  ARTCACHE_TRY(Names names, Names::with_prefix(options.prefix));
  {
    ARTCACHE_TRY(auto connection, sql::open_postgres(options.connection, call));
    if (!options.create) {
      connection->set_call(&call);
      ARTCACHE_TRY(const sql::SchemaVersions found, read_versions(*connection, names));
      if (found.version == 0)
        return Error{Errc::not_found, options.connection.describe + ": there is no index in it"};
    }
    ARTCACHE_CHECK(create(*connection, names, call));
  }
  return std::unique_ptr<MetadataStore>(std::make_unique<Index>(options, std::move(names), deps));
}

namespace {

Result<IndexOptions> options_of(const Url& url, const Deps& deps) {
  IndexOptions options;
  ARTCACHE_TRY(options.connection,
               sql::postgres_options(url, {"prefix", "create", "connections", "log_rows",
                                           "log_bytes", "log_age", "owners"}));
  options.connection.clock = deps.clock;
  options.prefix = url.parameter("prefix").value_or("");
  ARTCACHE_TRY(options.create, url.flag("create", true));
  options.owners = url.parameter("owners").value_or(std::string(kOwnersFolder));
  ARTCACHE_TRY(const auto connections, url.integer("connections", 16, 2, 1000));
  options.connections_most = static_cast<std::size_t>(connections);
  ARTCACHE_TRY(const auto rows, url.integer("log_rows", 100'000, 1, 1'000'000'000));
  ARTCACHE_TRY(const auto bytes, url.integer("log_bytes", 256LL * 1024 * 1024, 1, 1LL << 50));
  ARTCACHE_TRY(const auto age, url.duration("log_age", options.retention.age_most));
  options.retention = {static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(bytes), age};
  return options;
}

}  // namespace

Result<std::unique_ptr<MetadataStore>> open_index(const Url& url, const Deps& deps,
                                                  const Call& call) {
  ARTCACHE_TRY(const IndexOptions options, options_of(url, deps));
  return open_index(options, deps, call);
}

Result<Migrated> migrate_index(const Url& url, const Deps& deps, const Call& call) {
  ARTCACHE_TRY(const IndexOptions options, options_of(url, deps));
  ARTCACHE_TRY(const Names names, Names::with_prefix(options.prefix));
  ARTCACHE_TRY(const auto connection, sql::open_postgres(options.connection, call));
  connection->set_call(&call);
  ARTCACHE_TRY(const sql::SchemaVersions before, read_versions(*connection, names));
  ARTCACHE_CHECK(migrate(*connection, names, call));
  ARTCACHE_TRY(const sql::SchemaVersions after, read_versions(*connection, names));
  return Migrated{before.version, after.version};
}

}  // namespace artcache::postgres
