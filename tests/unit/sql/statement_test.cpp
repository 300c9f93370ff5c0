// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <limits>
#include <vector>

#include "support/temp_dir.hpp"
#include "unit/sql/database.hpp"

namespace artcache::sql {
namespace {

struct Database {
  test::TempDir folder;
  Call call = soon();
  std::unique_ptr<Connection> connection = open_at(folder / "x.db");
  Database() { connection->set_call(&call); }
};

}  // namespace

TEST_SUITE("sql statements") {
  TEST_CASE("what is bound comes back, to the last bit") {
    Database db;
    Statement* echo = must(db.connection->prepare("SELECT $1, typeof($1)"));
    for (const std::int64_t value : {std::numeric_limits<std::int64_t>::min(), std::int64_t{-1},
                                     std::int64_t{0}, std::numeric_limits<std::int64_t>::max()}) {
      REQUIRE(must(echo->bind(0, value).step()));
      CHECK(echo->integer(0) == value);
      CHECK(echo->text(1) == "integer");
      echo->reset();
    }
    for (const double value : {0.1, -1e308, std::numeric_limits<double>::denorm_min()}) {
      REQUIRE(must(echo->bind(0, value).step()));
      CHECK(echo->real(0) == value);
      echo->reset();
    }
    REQUIRE(must(echo->bind(0, std::nan("")).step()));
    CHECK(echo->is_null(0));
    echo->reset();
    REQUIRE(must(echo->bind_null(0).step()));
    CHECK(echo->is_null(0));
  }

  TEST_CASE("texts and bytes keep their NULs, and empty is not NULL") {
    Database db;
    must(db.connection->execute("CREATE TABLE t(a TEXT, b BLOB) STRICT"));
    const std::string text("a\0b\0", 4);
    const std::vector<std::uint8_t> bytes = {0, 1, 0, 255, 0};
    Statement* insert = must(db.connection->prepare("INSERT INTO t VALUES($1, $2)"));
    CHECK(must(insert->bind(0, std::string_view(text)).bind(1, Bytes(bytes)).run()) == 1);
    CHECK(must(insert->bind(0, std::string_view()).bind(1, Bytes()).run()) == 1);
    Statement* select = must(db.connection->prepare("SELECT a, b FROM t ORDER BY rowid"));
    REQUIRE(must(select->step()));
    CHECK(select->text(0) == text);
    CHECK(std::vector(select->blob(1).begin(), select->blob(1).end()) == bytes);
    REQUIRE(must(select->step()));
    CHECK_FALSE(select->is_null(0));
    CHECK_FALSE(select->is_null(1));
    CHECK(select->text(0).empty());
    CHECK(select->blob(1).empty());
    CHECK_FALSE(must(select->step()));
  }

  TEST_CASE("a text of 10 MB is stored, one above SQLite's limit is refused") {
    Database db;
    must(db.connection->execute("CREATE TABLE t(a)"));
    Statement* insert = must(db.connection->prepare("INSERT INTO t VALUES($1)"));
    const std::string big(10'000'000, 'x');
    CHECK(must(insert->bind(0, std::string_view(big)).run()) == 1);
    CHECK(number(*db.connection, "SELECT length(a) FROM t") == 10'000'000);
    const std::string_view huge(big.data(), std::size_t{1} << 31);  // never read: refused before
    CHECK(code_of(insert->bind(0, huge).run()) == Errc::invalid_argument);
    CHECK(must(insert->bind(0, std::string_view("small")).run()) == 1);
  }

  TEST_CASE("a statement is prepared once for its text and starts afresh each time") {
    Database db;
    const std::string text = "SELECT $1";
    Statement* first = must(db.connection->prepare(text));
    REQUIRE(must(first->bind(0, std::int64_t{7}).step()));
    Statement* again = must(db.connection->prepare(std::string(text)));
    CHECK(again == first);
    REQUIRE(must(again->step()));
    CHECK(again->is_null(0));  // what was bound is forgotten
  }

  TEST_CASE("the statements used longest ago are let go of between transactions") {
    Database db;
    Statement* kept = must(db.connection->prepare("SELECT 'kept'"));
    must(db.connection->begin(TransactionKind::read));
    for (std::size_t i = 0; i < 2 * kSqliteStatementsMost; ++i)
      must(db.connection->prepare("SELECT " + std::to_string(i)));
    REQUIRE(must(kept->step()));  // not while the transaction lasts
    CHECK(kept->text(0) == "kept");
    must(db.connection->commit());
    db.connection->set_call(&db.call);
    CHECK(word(*db.connection, "SELECT 'kept'") == "kept");
    CHECK(number(*db.connection, "SELECT 511") == 511);
  }

  TEST_CASE("run tells how many rows changed") {
    Database db;
    CHECK(must(must(db.connection->prepare("CREATE TABLE t(a INTEGER PRIMARY KEY)"))->run()) == 0);
    CHECK(must(must(db.connection->prepare("INSERT INTO t VALUES(1),(2),(3)"))->run()) == 3);
    CHECK(must(must(db.connection->prepare("SELECT * FROM t"))->run()) == 0);
    CHECK(must(must(db.connection->prepare("UPDATE t SET a = a + 9 WHERE a < 3"))->run()) == 2);
    CHECK(must(must(db.connection->prepare("DELETE FROM t WHERE a = 77"))->run()) == 0);
  }

  TEST_CASE("a key that is there already is a conflict, and the transaction goes on") {
    Database db;
    must(db.connection->execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT UNIQUE)"));
    auto transaction = must(Transaction::begin(*db.connection, TransactionKind::write));
    must(db.connection->execute("INSERT INTO t VALUES(1, 'x')"));
    CHECK(code_of(db.connection->execute("INSERT INTO t VALUES(1, 'y')")) == Errc::conflict);
    CHECK(code_of(db.connection->execute("INSERT INTO t VALUES(2, 'x')")) == Errc::conflict);
    must(db.connection->execute("INSERT INTO t VALUES(2, 'y')"));
    must(transaction.commit());
    CHECK(number(*db.connection, "SELECT count(*) FROM t") == 2);
    CHECK(db.connection->healthy());
  }

  TEST_CASE("a wrong text is an internal error that shows it") {
    Database db;
    const auto wrong = db.connection->prepare("SELECT nonsense FROM nowhere");
    CHECK(code_of(wrong) == Errc::internal);
    CHECK(wrong.error().message.find("nowhere") != std::string::npos);
    CHECK(code_of(db.connection->prepare("SELECT 1; SELECT 2")) == Errc::internal);
    CHECK(code_of(db.connection->prepare("  -- nothing")) == Errc::internal);
    CHECK(code_of(db.connection->prepare("SELECT \"misspelt\"")) == Errc::internal);
    CHECK(code_of(must(db.connection->prepare("SELECT $1"))->bind(1, std::int64_t{0}).step()) ==
          Errc::internal);
    must(db.connection->prepare("SELECT 1;  "));
  }

  TEST_CASE("execute runs several statements and comments, up to the first that fails") {
    Database db;
    must(db.connection->execute("CREATE TABLE t(a); -- one\nINSERT INTO t VALUES(1);\n/* end */ "));
    CHECK(code_of(db.connection->execute("INSERT INTO t VALUES(2); INSERT INTO u VALUES(1);"
                                         "INSERT INTO t VALUES(3)")) == Errc::internal);
    CHECK(number(*db.connection, "SELECT sum(a) FROM t") == 3);
    CHECK(must(db.connection->has_table("t")));
    CHECK_FALSE(must(db.connection->has_table("u")));
  }

  TEST_CASE("a cached statement follows a view that another connection replaces") {
    Database db;
    must(
        db.connection->execute("CREATE TABLE a(x); CREATE TABLE b(x); INSERT INTO a VALUES(1);"
                               "INSERT INTO b VALUES(2); CREATE VIEW v AS SELECT x FROM a"));
    CHECK(number(*db.connection, "SELECT x FROM v") == 1);
    const auto other = open_at(db.folder / "x.db");
    other->set_call(&db.call);
    must(
        other->execute("BEGIN IMMEDIATE; DROP VIEW v; CREATE VIEW v AS SELECT x FROM b;"
                       "DROP TABLE a; COMMIT"));
    CHECK(number(*db.connection, "SELECT x FROM v") == 2);
  }
}

}  // namespace artcache::sql
