// SPDX-License-Identifier: Apache-2.0
// Connections to PostgreSQL: values, transactions, errors, deadlines.
#include <arpa/inet.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <limits>
#include <thread>

#include "conformance/postgres_suite.hpp"
#include "sql/postgres/wire.hpp"
#include "util/fd.hpp"

using namespace artcache;
using namespace artcache::test;
using namespace std::chrono_literals;

namespace {

std::unique_ptr<sql::PostgresConnection> connect() {
  const Url url = good(Url::parse(PostgresSite::base()));
  return good(sql::open_postgres(good(sql::postgres_options(url, {})), {}));
}

/// What opening an address made from that of the server says.
Error refusal(const std::string& from, const std::string& to) {
  std::string address = PostgresSite::base();
  const std::size_t at = address.rfind(from);
  REQUIRE(at != std::string::npos);
  address.replace(at, from.size(), to);
  const auto opened = Backends::builtin().open_index(good(Url::parse(address)), {},
                                                     Call().within(std::chrono::minutes(5)));
  REQUIRE_FALSE(opened.has_value());
  return opened.error();
}

/// Runs one statement for its error.
Error error_of(sql::Connection& connection, std::string_view sql) {
  auto prepared = connection.prepare(sql);
  if (!prepared) return prepared.error();
  const auto done = (*prepared)->step();
  REQUIRE_FALSE(done.has_value());
  return done.error();
}

}  // namespace

TEST_SUITE("postgres") {
  TEST_CASE("values come back as they were bound") {
    const auto connection = connect();
    const Call call;
    connection->set_call(&call);
    sql::Statement* const s = good(connection->prepare(
        "SELECT $1::bigint, $2::float8, $3::text, $4::bytea, $5::text, $6::timestamptz, "
        "$7::integer, true"));
    const std::array<std::uint8_t, 3> bytes{0, 255, 7};
    constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
    s->bind(0, kLeast).bind(1, 0.1).bind(2, "Отчёт '\"\\ $1");
    s->bind(3, sql::Bytes(bytes)).bind_null(4);
    sql::bind_time(*s, 5, Timestamp::min().micros());
    s->bind(6, std::int64_t{-5});
    REQUIRE(good(s->step()));
    CHECK(s->integer(0) == kLeast);
    CHECK(s->real(1) == 0.1);
    CHECK(s->text(2) == "Отчёт '\"\\ $1");
    CHECK(std::ranges::equal(s->blob(3), bytes));
    CHECK(s->is_null(4));
    CHECK(s->integer(5) == Timestamp::min().micros());
    CHECK(s->integer(6) == -5);
    CHECK(s->integer(7) == 1);
    CHECK_FALSE(good(s->step()));
  }

  TEST_CASE("statements sent together run in order, and after an error none of the rest") {
    const auto connection = connect();
    const Call call;
    connection->set_call(&call);
    good(connection->execute("CREATE TEMP TABLE t(n integer PRIMARY KEY)"));
    good(connection->begin(sql::TransactionKind::write));
    std::array all{good(connection->prepare("INSERT INTO t VALUES(1)")),
                   good(connection->prepare("INSERT INTO t VALUES(1), (2)")),
                   good(connection->prepare("INSERT INTO t VALUES(3)"))};
    const auto done = connection->run_all(all);
    REQUIRE_FALSE(done.has_value());
    CHECK(done.error().code == Errc::conflict);
    CHECK(connection->last_state() == "23505");
    // Nothing slips out of a transaction that the server has undone.
    CHECK_FALSE(connection->commit().has_value());
    sql::Statement* const count = good(connection->prepare("SELECT count(*) FROM t"));
    REQUIRE(good(count->step()));
    CHECK(count->integer(0) == 0);
    count->reset();
    CHECK(connection->healthy());
  }

  TEST_CASE(
      "a transaction that commits with its last statements is there, one rolled back is not") {
    const auto connection = connect();
    const Call call;
    connection->set_call(&call);
    good(connection->execute("CREATE TEMP TABLE t(n integer)"));
    good(connection->begin(sql::TransactionKind::write));
    std::array last{good(connection->prepare("INSERT INTO t VALUES(1)"))};
    good(connection->commit_with(last));
    CHECK_FALSE(connection->in_transaction());
    good(connection->begin(sql::TransactionKind::write));
    good(good(connection->prepare("INSERT INTO t VALUES(2)"))->run());
    connection->rollback();
    sql::Statement* const sum = good(connection->prepare("SELECT sum(n) FROM t"));
    REQUIRE(good(sum->step()));
    CHECK(sum->integer(0) == 1);
  }

  TEST_CASE("a statement ends at the deadline or when stopped, and the connection is given up") {
    auto connection = connect();
    const Call short_call = Call().within(50ms);
    connection->set_call(&short_call);
    CHECK(error_of(*connection, "SELECT pg_sleep(30)").code == Errc::timed_out);
    CHECK_FALSE(connection->healthy());
    connection = connect();
    std::stop_source stop;
    Call call;
    call.stop = stop.get_token();
    connection->set_call(&call);
    std::jthread stopper([&] {
      std::this_thread::sleep_for(50ms);
      stop.request_stop();
    });
    CHECK(error_of(*connection, "SELECT pg_sleep(30)").code == Errc::cancelled);
    CHECK_FALSE(connection->healthy());
  }

  TEST_CASE("rows are copied in, and a bad one is an error that leaves the connection usable") {
    const auto connection = connect();
    const Call call;
    connection->set_call(&call);
    good(connection->execute("CREATE TEMP TABLE t(n bigint NOT NULL, s text)"));
    constexpr std::string_view kCopy = "COPY t FROM STDIN (FORMAT binary)";
    const auto row = [](std::string& out, bool empty) {
      sql::PostgresFields fields;
      empty ? fields.null() : fields.number(7);
      fields.bytes(std::string_view("text"));
      sql::put_big_endian(out, 2, 2);
      out.append(fields.data());
    };
    good(connection->copy_begin(kCopy));
    std::string data(sql::copy_header());
    for (int i = 0; i < 50'000; ++i) row(data, false);
    good(connection->copy_data(data));
    good(connection->copy_data(sql::copy_trailer()));
    CHECK(good(connection->copy_end()) == 50'000);
    good(connection->copy_begin(kCopy));
    data = sql::copy_header();
    row(data, true);
    good(connection->copy_data(data));
    CHECK_FALSE(connection->copy_end().has_value());
    CHECK(connection->healthy());
    sql::Statement* const count = good(connection->prepare("SELECT count(*) FROM t"));
    REQUIRE(good(count->step()));
    CHECK(count->integer(0) == 50'000);
  }

  TEST_CASE("a transaction knows nothing of the errors of the one before it") {
    const auto connection = connect();
    const Call call;
    connection->set_call(&call);
    CHECK(connection->last_state().empty());
    good(connection->begin(sql::TransactionKind::write));
    CHECK(error_of(*connection, "SELECT 1 / 0").code != Errc{});
    connection->rollback();
    CHECK(connection->last_state() == "22012");
    good(connection->begin(sql::TransactionKind::write));
    CHECK(connection->last_state().empty());
    connection->rollback();
  }

  TEST_CASE("single statements are read committed, whatever the server's default is") {
    REQUIRE(::setenv("PGOPTIONS", "-c default_transaction_isolation=serializable", 1) == 0);
    const auto connection = connect();
    REQUIRE(::unsetenv("PGOPTIONS") == 0);
    const Call call;
    connection->set_call(&call);
    sql::Statement* const s =
        good(connection->prepare("SELECT current_setting('transaction_isolation')"));
    REQUIRE(good(s->step()));
    CHECK(s->text(0) == "read committed");
    s->reset();
  }

  TEST_CASE("a notification ends a wait") {
    const auto ear = connect(), mouth = connect();
    const Call call;
    ear->set_call(&call);
    mouth->set_call(&call);
    good(ear->execute("LISTEN here"));
    CHECK_FALSE(good(ear->wait_notified(1ms)));
    good(mouth->execute("NOTIFY here"));
    CHECK(good(ear->wait_notified(5min)));
  }

  TEST_CASE("each way in which a server cannot be reached is an error of its own") {
    const Error password = refusal(":secret@", ":wrong-pass@");
    CHECK(password.code == Errc::invalid_argument);
    CHECK(password.message.find("28P01") != std::string::npos);
    CHECK(password.message.find("wrong-pass") == std::string::npos);
    const Error database = refusal("/artstore", "/no_such_database");
    CHECK(database.code == Errc::not_found);
    CHECK(database.message.find("no_such_database") != std::string::npos);
    CHECK(refusal("127.0.0.1:", "127.0.0.1:1?x=").code == Errc::invalid_argument);
    const std::string base = PostgresSite::base();
    const std::string place = base.substr(base.find('@') + 1, base.rfind('/') - base.find('@') - 1);
    CHECK(refusal(place, "127.0.0.1:1").code == Errc::unavailable);
    CHECK(refusal("/artstore", "/artstore?prefix=Bad").code == Errc::invalid_argument);
    CHECK(refusal("/artstore", "/artstore?sslmode=require").code == Errc::unavailable);
  }

  TEST_CASE("an address that answers nothing is timed_out at the deadline") {
    // A listener that never speaks: the kernel takes the connection for it.
    const util::Fd silent(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in place{};
    place.sin_family = AF_INET;
    place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof place;
    auto* const generic = reinterpret_cast<sockaddr*>(&place);
    REQUIRE(::bind(silent.get(), generic, size) == 0);
    REQUIRE(::listen(silent.get(), 4) == 0);
    REQUIRE(::getsockname(silent.get(), generic, &size) == 0);
    const Url url = good(Url::parse(
        "postgresql://u:secret@127.0.0.1:" + std::to_string(ntohs(place.sin_port)) + "/x"));
    const auto opened =
        Backends::builtin().open_index(url, {}, Call().within(std::chrono::milliseconds(100)));
    REQUIRE_FALSE(opened.has_value());
    CHECK(opened.error().code == Errc::timed_out);
    CHECK(opened.error().message.find("secret") == std::string::npos);
  }
}
