// SPDX-License-Identifier: Apache-2.0
// One connection to a Redis server, and a few of them for many threads.
#pragma once

#include <artcache/call.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "redis/address.hpp"
#include "redis/reply.hpp"
#include "redis/socket.hpp"
#include "util/mutex.hpp"

namespace artcache::redis {

/// A Lua text and its SHA-1, by which a server that has run it knows it.
class Script {
 public:
  explicit Script(std::string_view text);
  [[nodiscard]] std::string_view text() const { return text_; }
  [[nodiscard]] std::string_view sum() const { return sum_; }

 private:
  std::string text_, sum_;
};

/// What a channel that is subscribed to has said.
struct Message {
  std::string channel, text;
};

/// For one thread. Errors of every call: unavailable, timed_out, cancelled, corrupt, and what the
/// server says (error_of()). After one that is not the server's word the connection is not usable()
/// any more: what was asked may have been done or not, which Error::outcome says.
class Connection {
 public:
  /// Connects to the first host that answers, or to the master that a Sentinel names; logs in and
  /// chooses the database. Where several hosts are named, only one that is a master will do.
  /// Errors: also invalid_argument (the login or the certificate is refused).
  static Result<std::unique_ptr<Connection>> open(const Options& options, const Call& call);

  Result<Reply> command(Args args, const Call& call);
  /// Sends all at once and waits for all; a word of the server against one is in its place.
  Result<std::vector<Reply>> pipeline(std::span<const Args> commands, const Call& call);
  /// Runs a script, whose keys come first in `args`.
  Result<Reply> run(const Script& script, std::size_t keys, Args args, const Call& call);

  /// From here on only messages are heard on this connection, and next_message() is its only call
  /// beside another subscribe().
  Result<void> subscribe(Args channels, const Call& call);
  /// Nothing when none has come within `pause`.
  Result<std::optional<Message>> next_message(std::chrono::milliseconds pause, const Call& call);

  /// Whether another command may be sent: open, and nothing has come unasked.
  [[nodiscard]] bool usable() const { return !broken_ && socket_.is_quiet(); }
  [[nodiscard]] bool broken() const { return broken_; }

 private:
  Connection(Socket socket, const Options& options);
  static Result<std::unique_ptr<Connection>> open_at(const Options& options, const Url::Host& host,
                                                     const Login& login, const Call& call);
  static Result<Url::Host> ask_sentinels(const Options& options, const Call& call);
  Result<void> log_in(const Login& login, const Call& call);
  Result<void> expect_master(const Call& call);
  Result<Reply> ask(Args args, Args more, const Call& call);
  Result<void> send(std::string_view bytes, const Call& call);
  Result<Reply> receive(std::chrono::milliseconds most, const Call& call);
  Error spoilt(Error error, Outcome outcome);

  Socket socket_;
  ReplyReader reader_;
  const Clock* clock_;
  std::chrono::milliseconds answer_most_;
  std::string asked_;  ///< the last command, for its room
  bool broken_ = false;
};

/// Safe to call from any thread: each call uses a connection that nobody else uses meanwhile, and
/// opens one where there is none. A connection that broke is replaced at the next call.
class Client {
 public:
  /// Kept for the next call; more are closed after use.
  static constexpr std::size_t kIdleMost = 8;

  explicit Client(Options options) : options_(std::move(options)) {}

  /// Errors: as Connection.
  Result<Reply> command(Args args, const Call& call);
  Result<Reply> run(const Script& script, std::size_t keys, Args args, const Call& call);
  /// One of one's own, for what takes long or listens.
  [[nodiscard]] Result<std::unique_ptr<Connection>> open(const Call& call) const {
    return Connection::open(options_, call);
  }
  [[nodiscard]] const Options& options() const { return options_; }

 private:
  Result<std::unique_ptr<Connection>> take(const Call& call) ARTCACHE_EXCLUDES(mutex_);
  void give_back(std::unique_ptr<Connection> connection, const Result<Reply>& last)
      ARTCACHE_EXCLUDES(mutex_);

  const Options options_;
  util::Mutex mutex_;
  std::vector<std::unique_ptr<Connection>> idle_ ARTCACHE_GUARDED_BY(mutex_);  ///< used last: back
};

}  // namespace artcache::redis
