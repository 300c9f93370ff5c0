// SPDX-License-Identifier: Apache-2.0
#include "redis/connection.hpp"

#include <openssl/evp.h>

#include <array>
#include <charconv>

#include "util/try.hpp"

namespace artcache::redis {
namespace {

/// What is kept of the room of a long command.
constexpr std::size_t kRoomMost = 64 * 1024;

std::string sha1_hex(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::array<unsigned char, EVP_MAX_MD_SIZE> sum{};
  unsigned size = 0;
  EVP_Digest(text.data(), text.size(), sum.data(), &size, EVP_sha1(), nullptr);
  std::string out;
  for (unsigned i = 0; i < size; ++i) out.append({kDigits[sum[i] >> 4], kDigits[sum[i] & 15]});
  return out;
}

Error unexpected(std::string_view what) {
  return Error{Errc::corrupt, "redis: an unexpected answer to " + std::string(what)};
}

/// A word of the server as an error, anything else as it is.
Result<Reply> judged(Reply reply) {
  if (reply.is(Reply::Kind::error)) return error_of(reply);
  return reply;
}

/// Of another server than the one that is meant, or of one that is about to become another: what
/// is asked next goes to a new connection.
bool is_farewell(const Error& error) {
  return error.message.find("READONLY") != std::string::npos ||
         error.message.find("MASTERDOWN") != std::string::npos;
}

}  // namespace

Script::Script(std::string_view text) : text_(text), sum_(sha1_hex(text)) {}

Connection::Connection(Socket socket, const Options& options)
    : socket_(std::move(socket)), clock_(options.clock), answer_most_(options.answer_most) {}

Result<std::unique_ptr<Connection>> Connection::open(const Options& options, const Call& call) {
  if (!options.sentinel.empty()) {
    ARTCACHE_TRY(const Url::Host master, ask_sentinels(options, call));
    ARTCACHE_TRY(auto connection, open_at(options, master, options.login, call));
    // A Sentinel that has not heard of a failover yet names the old one.
    ARTCACHE_CHECK(connection->expect_master(call));
    return connection;
  }
  Error last{Errc::unavailable, "redis: no host"};
  for (const Url::Host& host : options.hosts) {
    auto connection = open_at(options, host, options.login, call);
    if (connection && options.hosts.size() > 1)
      if (auto master = (*connection)->expect_master(call); !master)
        connection = std::move(master).error();
    if (connection) return connection;
    last = std::move(connection).error();
    if (last.code != Errc::unavailable) break;
  }
  return last;
}

Result<std::unique_ptr<Connection>> Connection::open_at(const Options& options,
                                                        const Url::Host& host, const Login& login,
                                                        const Call& call) {
  const Patience patience(call, *options.clock, options.connect_most);
  ARTCACHE_TRY(Socket socket, Socket::connect(host.name, host.port, options.tls, patience));
  std::unique_ptr<Connection> connection(new Connection(std::move(socket), options));
  ARTCACHE_CHECK(connection->log_in(login, call));
  // Sentinels know no databases.
  if (options.database != 0 && &login == &options.login) {
    const std::string number = std::to_string(options.database);
    const std::array<std::string_view, 2> select{"SELECT", number};
    ARTCACHE_TRY(const Reply chosen, connection->command(select, call));
    if (!chosen.is(Reply::Kind::status)) return unexpected("SELECT");
  }
  return connection;
}

Result<Url::Host> Connection::ask_sentinels(const Options& options, const Call& call) {
  Error last{Errc::unavailable, "redis: no Sentinel"};
  for (const Url::Host& host : options.hosts) {
    auto sentinel = open_at(options, host, options.sentinel_login, call);
    if (!sentinel) {
      last = std::move(sentinel).error().in("Sentinel");
      if (last.code != Errc::unavailable && last.code != Errc::invalid_argument) return last;
      continue;
    }
    const std::array<std::string_view, 3> ask{"SENTINEL", "get-master-addr-by-name",
                                              options.sentinel};
    auto answer = (*sentinel)->command(ask, call);
    if (!answer) {
      last = std::move(answer).error().in("Sentinel");
      continue;
    }
    if (answer->is(Reply::Kind::nil)) {
      last = Error{Errc::unavailable,
                   "redis: Sentinel: no master is called '" + options.sentinel + "'"};
      continue;
    }
    if (answer->items.size() != 2) return unexpected("SENTINEL");
    const std::string& text = answer->items[1].text;
    Url::Host master{answer->items[0].text, 0};
    std::from_chars(text.data(), text.data() + text.size(), master.port);
    return master;
  }
  return last;
}

Result<void> Connection::log_in(const Login& login, const Call& call) {
  if (login.password.empty() && login.user.empty()) return {};
  std::vector<std::string_view> words{"AUTH"};
  if (!login.user.empty()) words.emplace_back(login.user);
  words.emplace_back(login.password);
  ARTCACHE_TRY(const Reply welcome, command(words, call));
  if (!welcome.is(Reply::Kind::status)) return unexpected("AUTH");
  return {};
}

Result<void> Connection::expect_master(const Call& call) {
  const std::array<std::string_view, 1> ask{"ROLE"};
  ARTCACHE_TRY(const Reply role, command(ask, call));
  if (role.items.empty()) return unexpected("ROLE");
  if (role.items[0].text == "master") return {};
  return Error{Errc::unavailable, "redis: the server is no master but a " + role.items[0].text};
}

Error Connection::spoilt(Error error, Outcome outcome) {
  broken_ = true;
  error.outcome = outcome;
  return error;
}

/// What was sent in part is no command.
Result<void> Connection::send(std::string_view bytes, const Call& call) {
  if (broken_) return Error{Errc::unavailable, "redis: the connection broke before"};
  auto sent = socket_.send(bytes, Patience(call, *clock_, answer_most_));
  if (!sent) return spoilt(std::move(sent).error(), Outcome::not_applied);
  return {};
}

Result<Reply> Connection::receive(std::chrono::milliseconds most, const Call& call) {
  std::array<char, 16 * 1024> buffer;
  const Patience patience(call, *clock_, most);
  while (true) {
    auto whole = reader_.next();
    if (!whole) return spoilt(std::move(whole).error(), Outcome::unknown);
    if (*whole) return std::move(**whole);
    auto got = socket_.receive(buffer, patience);
    if (!got) return spoilt(std::move(got).error(), Outcome::unknown);
    auto fed = reader_.feed({buffer.data(), *got});
    if (!fed) return spoilt(std::move(fed).error(), Outcome::unknown);
  }
}

Result<Reply> Connection::ask(Args args, Args more, const Call& call) {
  asked_.clear();
  append_command(asked_, args, more);
  ARTCACHE_CHECK(send(asked_, call));
  auto reply = receive(answer_most_, call);
  if (asked_.capacity() > kRoomMost) asked_ = std::string();
  return reply;
}

Result<Reply> Connection::command(Args args, const Call& call) {
  ARTCACHE_TRY(Reply reply, ask(args, {}, call));
  return judged(std::move(reply));
}

Result<std::vector<Reply>> Connection::pipeline(std::span<const Args> commands, const Call& call) {
  std::string bytes;
  for (const Args& one : commands) append_command(bytes, one);
  ARTCACHE_CHECK(send(bytes, call));
  std::vector<Reply> replies;
  for (std::size_t i = 0; i < commands.size(); ++i) {
    ARTCACHE_TRY(Reply reply, receive(answer_most_, call));
    replies.push_back(std::move(reply));
  }
  return replies;
}

Result<Reply> Connection::run(const Script& script, std::size_t keys, Args args, const Call& call) {
  const std::string number = std::to_string(keys);
  const std::array<std::string_view, 3> by_sum{"EVALSHA", script.sum(), number};
  ARTCACHE_TRY(Reply reply, ask(by_sum, args, call));
  if (reply.is(Reply::Kind::error) && reply.text.starts_with("NOSCRIPT")) {
    const std::array<std::string_view, 3> by_text{"EVAL", script.text(), number};
    ARTCACHE_TRY(reply, ask(by_text, args, call));
  }
  return judged(std::move(reply));
}

Result<void> Connection::subscribe(Args channels, const Call& call) {
  std::vector<std::string_view> words{"SUBSCRIBE"};
  words.insert(words.end(), channels.begin(), channels.end());
  std::string bytes;
  append_command(bytes, words);
  ARTCACHE_CHECK(send(bytes, call));
  return {};  // the confirmations come among the messages, and next_message() passes over them
}

Result<std::optional<Message>> Connection::next_message(std::chrono::milliseconds pause,
                                                        const Call& call) {
  std::array<char, 16 * 1024> buffer;
  const Clock::SteadyTime end = clock_->steady() + pause;
  while (true) {
    auto whole = reader_.next();
    if (!whole) return spoilt(std::move(whole).error(), Outcome::not_applied);
    if (*whole) {
      Reply& reply = **whole;
      if (reply.is(Reply::Kind::error)) return spoilt(error_of(reply), Outcome::not_applied);
      if (reply.items.size() == 3 && reply.items[0].text == "message")
        return std::optional<Message>(
            {std::move(reply.items[1].text), std::move(reply.items[2].text)});
      continue;
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - clock_->steady());
    if (left.count() <= 0) return std::optional<Message>();
    ARTCACHE_TRY(const bool ready, socket_.wait_readable(Patience(call, *clock_, left)));
    if (!ready) return std::optional<Message>();
    auto got = socket_.receive(buffer, Patience(call, *clock_, answer_most_));
    if (!got) return spoilt(std::move(got).error(), Outcome::not_applied);
    auto fed = reader_.feed({buffer.data(), *got});
    if (!fed) return spoilt(std::move(fed).error(), Outcome::not_applied);
  }
}

Result<std::unique_ptr<Connection>> Client::take(const Call& call) {
  while (true) {
    std::unique_ptr<Connection> connection;
    {
      const util::MutexLock guard(mutex_);
      if (idle_.empty()) break;
      connection = std::move(idle_.back());
      idle_.pop_back();
    }
    if (connection->usable()) return connection;
  }
  return Connection::open(options_, call);
}

/// Whether anything came unasked take() sees.
void Client::give_back(std::unique_ptr<Connection> connection, const Result<Reply>& last) {
  if (connection->broken() || (!last && is_farewell(last.error()))) return;
  const util::MutexLock guard(mutex_);
  if (idle_.size() < kIdleMost) idle_.push_back(std::move(connection));
}

Result<Reply> Client::command(Args args, const Call& call) {
  ARTCACHE_TRY(auto connection, take(call));
  auto reply = connection->command(args, call);
  give_back(std::move(connection), reply);
  return reply;
}

Result<Reply> Client::run(const Script& script, std::size_t keys, Args args, const Call& call) {
  ARTCACHE_TRY(auto connection, take(call));
  auto reply = connection->run(script, keys, args, call);
  give_back(std::move(connection), reply);
  return reply;
}

}  // namespace artcache::redis
