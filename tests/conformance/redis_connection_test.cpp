// SPDX-License-Identifier: Apache-2.0
// The connection to Redis: logins, TLS, deadlines, channels, and servers that answer nonsense.
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <thread>

#include "conformance/redis_suite.hpp"
#include "util/fd.hpp"

using namespace artcache;
using namespace artcache::test;
using namespace std::chrono_literals;
using redis::Connection;
using redis::Reply;

namespace {

Result<Reply> ask(Connection& connection, std::initializer_list<std::string_view> words,
                  const Call& call = Call().within(5min)) {
  const std::vector<std::string_view> args(words);
  return connection.command(args, call);
}

/// Accepts one connection and says what it is told to.
class Liar {
 public:
  explicit Liar(std::string says) : says_(std::move(says)) {
    listening_ = util::Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(listening_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(listening_.get(), 4) == 0);
    socklen_t size = sizeof address;
    REQUIRE(::getsockname(listening_.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::jthread([this] {
      const util::Fd client(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!client) return;
      (void)::send(client.get(), says_.data(), says_.size(), MSG_NOSIGNAL);
      std::array<char, 256> sink;
      while (::recv(client.get(), sink.data(), sink.size(), 0) > 0) {
      }
    });
  }
  ~Liar() { ::shutdown(listening_.get(), SHUT_RDWR); }
  [[nodiscard]] std::string host() const { return "127.0.0.1:" + std::to_string(port_); }
  [[nodiscard]] std::string address() const { return "redis://" + host() + "?timeout=200ms"; }

 private:
  std::string says_;
  util::Fd listening_;
  std::uint16_t port_ = 0;
  std::jthread thread_;
};

Errc code_of(const std::string& address, const Call& call = Call().within(5min)) {
  const auto opened = Connection::open(redis_options(address), call);
  if (!opened) return opened.error().code;
  const auto answer = ask(**opened, {"PING"}, call);
  REQUIRE_FALSE(answer.has_value());
  return answer.error().code;
}

}  // namespace

TEST_SUITE("redis connection") {
  TEST_CASE("values of every kind come back as they are, zero bytes and all") {
    const auto connection = must(Connection::open(redis_options(server_address()), {}));
    must(ask(*connection, {"FLUSHALL"}));
    const std::string bytes("a\0b\r\n", 5);
    CHECK(must(ask(*connection, {"SET", "k", bytes})).is(Reply::Kind::status));
    CHECK(must(ask(*connection, {"GET", "k"})).text == bytes);
    CHECK(must(ask(*connection, {"GET", "none"})).is(Reply::Kind::nil));
    CHECK(must(ask(*connection, {"INCR", "n"})).integer == 1);
    const Reply nested = must(ask(*connection, {"EVAL", "return {1, {'x', {}}, 'y'}", "0"}));
    REQUIRE(nested.items.size() == 3);
    CHECK(nested.items[1].items[0].text == "x");
    CHECK(nested.items[1].items[1].is(Reply::Kind::array));
    CHECK(nested.items[2].text == "y");
    const auto refused = ask(*connection, {"INCR", "k"});
    REQUIRE_FALSE(refused.has_value());
    CHECK(connection->usable());
    const std::string large(1 << 20, 'x');
    must(ask(*connection, {"SET", "large", large}));
    CHECK(must(ask(*connection, {"GET", "large"})).text == large);
  }

  TEST_CASE("several commands go in one turn, and one that fails does not stop the others") {
    const auto connection = must(Connection::open(redis_options(server_address()), {}));
    const std::array<std::string_view, 1> flush{"FLUSHALL"}, wrong{"NOSUCH"};
    const std::array<std::string_view, 2> count{"INCR", "n"};
    const std::array<redis::Args, 4> all{flush, count, wrong, count};
    const auto replies = must(connection->pipeline(all, Call().within(5min)));
    REQUIRE(replies.size() == 4);
    CHECK(replies[2].is(Reply::Kind::error));
    CHECK(replies[3].integer == 2);
  }

  TEST_CASE("a database of its own is used where the address names one") {
    const auto zero = must(Connection::open(redis_options(server_address()), {}));
    const auto three = must(Connection::open(redis_options(server_address() + "/3"), {}));
    must(ask(*zero, {"FLUSHALL"}));
    must(ask(*three, {"SET", "k", "v"}));
    CHECK(must(ask(*zero, {"GET", "k"})).is(Reply::Kind::nil));
    CHECK(must(ask(*three, {"GET", "k"})).text == "v");
    CHECK(code_of(server_address() + "/99999") == Errc::unsupported);
  }

  TEST_CASE("a password is needed and never repeated, and a user of the ACL may log in") {
    const std::string address = server_address("ARTCACHE_TEST_REDIS_AUTH");
    const auto connection = must(Connection::open(redis_options(address), {}));
    must(ask(*connection, {"ACL", "SETUSER", "locks", "on", ">s3same", "~*", "+@all"}));
    const std::string host = address.substr(address.find('@') + 1);
    const auto user = must(Connection::open(redis_options("redis://locks:s3same@" + host), {}));
    CHECK(must(ask(*user, {"ACL", "WHOAMI"})).text == "locks");
    for (const std::string& login : {std::string(), std::string("locks:wr0ng@")}) {
      const auto opened =
          Connection::open(redis_options("redis://" + login + host), Call().within(5min));
      const Error error = opened ? ask(**opened, {"PING"}).error() : opened.error();
      CHECK(error.code == Errc::invalid_argument);
      CHECK(error.message.find("wr0ng") == std::string::npos);
    }
  }

  TEST_CASE("over TLS the certificate must be one of the authority that is named") {
    const std::string address = server_address("ARTCACHE_TEST_REDIS_TLS");
    const std::string ca = server_address("ARTCACHE_TEST_REDIS_TLS_CA");
    const auto connection = must(Connection::open(redis_options(address + "?ca_file=" + ca), {}));
    CHECK(must(ask(*connection, {"PING"})).text == "PONG");
    const std::string large(3 << 20, 'x');
    CHECK(must(ask(*connection, {"ECHO", large})).text == large);
    CHECK(connection->usable());
    CHECK(code_of(address) == Errc::invalid_argument);
    CHECK(code_of(address + "?server_name=elsewhere&ca_file=" + ca) == Errc::invalid_argument);
    CHECK(must(Connection::open(redis_options(address + "?verify=off"), {}))->usable());
    std::string plain = address;
    plain.erase(5, 1);
    CHECK(code_of(plain) == Errc::unavailable);
    CHECK(redis::options_of(must(Url::parse(address + "?ca_file=/no/such")), system_clock())
              .error()
              .code == Errc::invalid_argument);
  }

  TEST_CASE("a call ends at its deadline, when it is stopped, and when the server hangs") {
    auto options = redis_options(server_address());
    const auto connection = must(Connection::open(options, {}));
    CHECK(ask(*connection, {"BLPOP", "none", "0"}, Call().within(30ms)).error().code ==
          Errc::timed_out);
    CHECK_FALSE(connection->usable());
    CHECK(ask(*connection, {"PING"}).error().code == Errc::unavailable);
    const auto second = must(Connection::open(options, {}));
    std::stop_source stop;
    Call stoppable;
    stoppable.stop = stop.get_token();
    std::jthread stopper([&] { stop.request_stop(); });
    CHECK(ask(*second, {"BLPOP", "none", "0"}, stoppable).error().code == Errc::cancelled);
    options.answer_most = 1s;
    const auto third = must(Connection::open(options, {}));
    const auto hung = ask(*third, {"BLPOP", "none", "0"}, {});
    CHECK(hung.error().code == Errc::unavailable);
    CHECK(hung.error().outcome == Outcome::unknown);
  }

  TEST_CASE("messages of a channel are heard in their order, and silence is no error") {
    const auto options = redis_options(server_address());
    const auto listening = must(Connection::open(options, {}));
    const std::array<std::string_view, 2> channels{"one", "two"};
    must(listening->subscribe(channels, Call().within(5min)));
    CHECK_FALSE(must(listening->next_message(50ms, {})).has_value());
    RedisCli cli;
    cli({"PUBLISH", "two", "first"});
    cli({"PUBLISH", "one", "second"});
    const auto first = must(listening->next_message(30s, {}));
    REQUIRE(first.has_value());
    CHECK(first->channel == "two");
    CHECK(first->text == "first");
    CHECK(must(listening->next_message(30s, {}))->text == "second");
  }

  TEST_CASE("over TLS a message is heard that came together with the one before it") {
    const std::string address = server_address("ARTCACHE_TEST_REDIS_TLS") +
                                "?ca_file=" + server_address("ARTCACHE_TEST_REDIS_TLS_CA");
    const auto listening = must(Connection::open(redis_options(address), {}));
    const std::array<std::string_view, 1> channel{"one"};
    must(listening->subscribe(channel, Call().within(5min)));
    RedisCli cli(address);
    while (cli({"PUBSUB", "NUMSUB", "one"}).items[1].integer == 0) std::this_thread::yield();
    // In records of their own, and all of them there before the first is taken.
    for (int length = 4'000; length < 20'000; length += 1'000) {
      const std::string text(static_cast<std::size_t>(length), 'x');
      cli({"EVAL", "for i = 1, 3 do redis.call('PUBLISH', 'one', ARGV[1]) end", "0", text});
      cli({"PING"});
      for (int i = 0; i < 3; ++i) {
        INFO(length << " bytes, message " << i);
        const auto message = must(listening->next_message(60s, Call().within(5min)));
        REQUIRE(message.has_value());
        CHECK(message->text == text);
      }
      CHECK_FALSE(must(listening->next_message(0ms, {})).has_value());
    }
  }

  TEST_CASE("a client replaces a connection that the server has closed") {
    redis::Client client(redis_options(server_address()));
    const std::array<std::string_view, 1> ping{"PING"};
    must(client.command(ping, {}));
    RedisCli()({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
    for (int i = 0; i < 5; ++i)
      CHECK(must(client.command(ping, Call().within(5min))).text == "PONG");
  }

  TEST_CASE("a script that the server has forgotten is sent again") {
    const redis::Script script("return {KEYS[1], ARGV[1]}");
    redis::Client client(redis_options(server_address()));
    const std::array<std::string_view, 2> args{"k", "v"};
    for (int i = 0; i < 3; ++i) {
      const Reply reply = must(client.run(script, 1, args, Call().within(5min)));
      REQUIRE(reply.items.size() == 2);
      CHECK(reply.items[1].text == "v");
      if (i == 1) RedisCli()({"SCRIPT", "FLUSH"});
    }
  }

  TEST_CASE("what is no Redis is corrupt or unavailable, and nothing worse") {
    for (const std::string& says : {std::string("HTTP/1.1 400 Bad Request\r\n\r\n"),
                                    std::string("*2147483647\r\n"), std::string("$-5\r\nx"),
                                    std::string("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n"
                                                "*1\r\n*1\r\n:1\r\n")}) {
      const Liar liar(says);
      INFO(says);
      const Errc code = code_of(liar.address());
      CHECK((code == Errc::corrupt || code == Errc::unavailable));
    }
    CHECK(code_of(Liar("").address()) == Errc::unavailable);
    CHECK(code_of("redis://127.0.0.1:1") == Errc::unavailable);
  }

  TEST_CASE("a Sentinel is asked for the master, and one that does not know it is passed over") {
    const std::string server = server_address();
    const std::string port = server.substr(server.rfind(':') + 1);
    const Liar lost("*-1\r\n");
    const Liar knows("*2\r\n$9\r\n127.0.0.1\r\n$" + std::to_string(port.size()) + "\r\n" + port +
                     "\r\n");
    const auto options = redis_options("redis://127.0.0.1:1," + lost.host() + "," + knows.host() +
                                       "?sentinel=main&timeout=1m");
    const auto connection = must(Connection::open(options, Call().within(5min)));
    CHECK(must(ask(*connection, {"PING"})).text == "PONG");
    const Liar ignorant("*-1\r\n");
    const auto none =
        Connection::open(redis_options("redis://" + ignorant.host() + "?sentinel=main&timeout=1m"),
                         Call().within(5min));
    REQUIRE_FALSE(none.has_value());
    CHECK(none.error().code == Errc::unavailable);
    CHECK(none.error().message.find("'main'") != std::string::npos);
  }

  TEST_CASE("an address says what is wrong with it") {
    for (const char* address : {"redis:", "redis://h/x", "redis://h/-1", "redis://h?pasword=x",
                                "redis://h?ca_file=/x", "rediss://h?cert_file=/x"}) {
      INFO(address);
      const auto options = redis::options_of(must(Url::parse(address)), system_clock());
      REQUIRE_FALSE(options.has_value());
      CHECK(options.error().code == Errc::invalid_argument);
    }
    const auto sentinels =
        redis_options("redis://u:p@s1,s2:26380/2?sentinel=main&sentinel_password=q");
    CHECK(sentinels.hosts[0].port == 26379);
    CHECK(sentinels.hosts[1].port == 26380);
    CHECK(sentinels.sentinel == "main");
    CHECK(sentinels.database == 2);
    CHECK(sentinels.describe.find("=q") == std::string::npos);
  }
}
