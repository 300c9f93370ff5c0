// SPDX-License-Identifier: Apache-2.0
// The tables of a query role on SQLite in a folder that goes away, or on PostgreSQL where a test is
// given one, and indexes of elements to follow.
#pragma once

#include <doctest/doctest.h>

#include <artcache/backends.hpp>
#include <artcache/follower.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/replica_sink.hpp"
#include "roles/query/schema.hpp"
#include "roles/query/tables.hpp"
#include "server_database.hpp"
#include "support/fake_clock.hpp"
#include "support/sample_entry.hpp"
#include "support/temp_dir.hpp"
#include "tokens.hpp"

namespace artcache::query {

using auth::must;

inline void must(const Result<void>& result) {
  if (!result) FAIL(to_string(result.error()));
}

/// That of the query role, emptied and then prepared by `sql`.
inline std::optional<std::string> server_database(std::string_view sql = {}) {
  return test::server_database(
      "query", "file_metadata_cache, file_metadata_sync, file_metadata_dead_letters", sql);
}

/// An index of an element, and what is written to it.
class Source {
 public:
  explicit Source(const std::string& path)
      : index_(must(Backends::builtin().open_index(must(Url::parse("sqlite://" + path)), {}, {}))),
        log_(make_log_source(*index_)) {}

  void put(FileEntry entry) {
    const EntryChange change = test::put_of(std::move(entry));
    must(index_->apply({.changes = {&change, 1}}, {}));
  }
  void remove(const FileId& id) {
    const EntryChange change = test::remove_of(id);
    must(index_->apply({.changes = {&change, 1}}, {}));
  }
  [[nodiscard]] IndexHead head() const { return must(index_->head({})); }
  [[nodiscard]] MetadataStore& index() { return *index_; }
  [[nodiscard]] LogSource& log() { return *log_; }

 private:
  std::unique_ptr<MetadataStore> index_;
  std::unique_ptr<LogSource> log_;
};

using replica::Sink;

class Bench {
 public:
  explicit Bench(std::string_view sql = {})
      : database(
            must(Database::open(server_database(sql).value_or("sqlite://" + (dir / "query.db")),
                                "query", migrate, {}, {}))) {}

  std::unique_ptr<Source> source(const std::string& name) {
    return std::make_unique<Source>(dir / (name + ".db"));
  }
  [[nodiscard]] replica::Replica replica() const {
    return {database.get(), &replica_tables(), {"query_sync", "artstore_query_"}};
  }
  std::unique_ptr<Sink> sink(const std::string& element, const Deps& deps = {}) {
    return std::make_unique<Sink>(replica(), Owner{element, "http://" + element},
                                  std::chrono::hours(1), deps);
  }
  /// Until the replica is proven to be where the source is.
  static FollowStatus catch_up(LogSource& source, Sink& sink) {
    Follower follower(source, sink, {.batch = 10}, {});
    return must(follower.catch_up({}));
  }
  std::vector<FoundFile> find(const FileId& id) {
    return must(database->read({}, [&](Session& s) { return find_files(s, id); }));
  }
  std::int64_t count(std::string_view table) {
    return must(database->read(
        {}, [&](Session& s) { return s.count("SELECT count(*) FROM " + std::string(table)); }));
  }
  void run(std::string_view sql) {
    must(database->write({}, [&](Session& s) { return s.run(sql); }));
  }

  test::TempDir dir;
  std::unique_ptr<Database> database;
};

}  // namespace artcache::query
