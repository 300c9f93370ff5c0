// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <array>
#include <memory>
#include <set>
#include <string>

#include "roles/ingester/schema.hpp"
#include "roles/ingester/tables.hpp"
#include "server_database.hpp"
#include "support/fake_clock.hpp"
#include "support/sample_entry.hpp"
#include "support/temp_dir.hpp"
#include "tokens.hpp"

namespace artcache::ingester {
namespace {

using auth::must;
using std::chrono::hours;

constexpr Timestamp kNow = test::FakeClock::kStart;
constexpr std::array kNames{"running", "young", "done", "failed", "pending", "pending-failed"};

struct Tables {
  Tables() {
    const auto server = test::server_database("ingester", "ingester_finalizes, ingester_cleanups");
    database = must(db::Database::open(server.value_or("sqlite://" + (folder / "ingester.db")),
                                       "ingester", migrate, Deps{.clock = &clock}, {}));
  }
  void add(const std::string& id, std::uint64_t file, FinalizeStatus status, hours age) {
    Finalize one{.id = id, .file = test::sample_id(file), .source = "se-01", .target = "se-03"};
    one.state.status = status;
    one.created_at = kNow - age;
    if (is_end(status)) one.completed_at = one.created_at;
    must(database->write({}, [&](db::Session& s) { return add_finalize(s, one); }));
  }
  std::int64_t trim(std::int64_t most) {
    return must(database->write({}, [&](db::Session& s) {
      return remove_finalizes_before(s, kNow - hours(24 * 30), most);
    }));
  }
  std::set<std::string> left() {
    std::set<std::string> out;
    for (const char* const id : kNames)
      if (must(database->read({}, [&](db::Session& s) { return find_finalize(s, id); })))
        out.insert(id);
    return out;
  }

  test::TempDir folder;
  test::FakeClock clock;
  std::unique_ptr<db::Database> database;
};

TEST_SUITE_BEGIN("ingester tables");

TEST_CASE("What ended long ago is forgotten, but of a file that is still to be removed somewhere") {
  constexpr hours kOld(24 * 31);
  Tables tables;
  tables.add("running", 1, FinalizeStatus::copying, kOld);
  tables.add("young", 2, FinalizeStatus::completed, hours(24 * 29));
  tables.add("done", 3, FinalizeStatus::completed, kOld + hours(1));
  tables.add("failed", 3, FinalizeStatus::failed, kOld);
  tables.add("pending-failed", 4, FinalizeStatus::failed, kOld + hours(1));
  tables.add("pending", 4, FinalizeStatus::completed, kOld);
  const Cleanup cleanup{.file = test::sample_id(4), .element = "se-01", .keeper = "se-03"};
  must(tables.database->write({}, [&](db::Session& s) { return add_cleanup(s, cleanup); }));

  CHECK(tables.trim(1) == 1);
  CHECK(tables.left() ==
        std::set<std::string>{"running", "young", "failed", "pending", "pending-failed"});
  CHECK(tables.trim(100) == 1);
  CHECK(tables.left() == std::set<std::string>{"running", "young", "pending", "pending-failed"});
  must(tables.database->write({}, [&](db::Session& s) { return remove_cleanup(s, cleanup); }));
  CHECK(tables.trim(100) == 2);
  CHECK(tables.left() == std::set<std::string>{"running", "young"});
}

TEST_SUITE_END();

}  // namespace
}  // namespace artcache::ingester
