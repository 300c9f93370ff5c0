// SPDX-License-Identifier: Apache-2.0
// One connection: requests one after another, each answered before the next one is looked at.
#pragma once

#include <artcache/backends.hpp>
#include <artcache/clock.hpp>
#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "http/body_pace.hpp"
#include "http/exchange.hpp"
#include "http/parser.hpp"
#include "http/pool.hpp"
#include "http/share.hpp"
#include "http/site.hpp"
#include "http/socket_tap.hpp"
#include "http/wire.hpp"

namespace artcache::http {

class Connection;

/// One I/O thread and its connections, which no other thread touches.
struct Loop {
  std::unordered_set<Connection*> connections;  // before io, whose end may end some
  asio::io_context io{1};
};

/// What all connections of a server have in common.
struct Common {
  Common(const Deps& its, std::size_t workers, std::size_t queue_most, std::size_t its_seats)
      : deps(its), seats(its_seats), pool(workers, queue_most), lasting(seats, seats) {}

  const Deps deps;
  const std::size_t seats;  ///< for requests of Threads::lasting
  std::atomic<std::size_t> seats_taken = 0;
  std::atomic<std::size_t> read_ahead = 0;  ///< bytes of bodies that wait for their handlers
  std::atomic<std::size_t> connections = 0;
  std::atomic<bool> stopping = false;  ///< no more requests: what is under way is the last one
  Pool pool;
  Pool lasting;  ///< a thread for each seat
};

/// What was read and not used yet.
class Inbox {
 public:
  [[nodiscard]] std::string_view view() const { return {data_.data() + begin_, end_ - begin_}; }
  [[nodiscard]] bool empty() const { return begin_ == end_; }
  void use(std::size_t size);
  /// At least one byte, at most until there are `most` in all; empty when there are that many. More
  /// than the last time when that was filled: whoever sends much is read in large pieces.
  std::span<char> room(std::size_t most);
  void add(std::size_t size) {
    end_ += size;
    filled_ = end_ == data_.size();
  }
  void put(std::string_view bytes);
  /// Gives back what an idle connection does not need.
  void shrink();

 private:
  std::vector<char> data_;
  std::size_t begin_ = 0, end_ = 0;
  bool filled_ = false;  ///< by the last read
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Common& common, Loop& loop, const Site& site, std::unique_ptr<Wire> wire);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  asio::awaitable<void> run();

  // The following on the thread of the loop.
  /// Interrupts what waits for the client longer than its limit allows.
  void check_time(Clock::SteadyTime now);
  /// The server stops: an idle connection ends, a late handler is told.
  void wind_down();
  /// Ends it whatever it does.
  void cut();
  /// Who still works for it has nobody to work for. By cut() that comes about in the end; this is
  /// for when the thread of the loop has gone first, and by whoever is alone with the loop then.
  void let_go();

 private:
  enum class Next : std::uint8_t { keep, close, linger };
  using Limit = std::chrono::milliseconds;

  asio::awaitable<Next> serve_one();
  asio::awaitable<bool> read_head(RequestParser& parser);
  asio::awaitable<bool> read_more(Limit limit, std::size_t most);
  /// Whether it is one for the handler of its route: all others have got their answer, or will.
  bool begin(RequestParser& parser);
  bool dispatch(const RequestParser& parser);
  /// Before a thread is taken: the whole body, or as much as shows that it comes.
  asio::awaitable<void> read_ahead(RequestParser& parser, Share& share);
  void call_handler();
  [[nodiscard]] Pool& pool() const;
  asio::awaitable<void> until_answered(RequestParser& parser);
  /// What was received of the body goes into its pipe.
  void feed(RequestParser& parser);
  asio::awaitable<void> pump(RequestParser& parser);
  /// Waits for more of the body, as long as its pace allows; false: there is none, and why is in
  /// the pipe.
  asio::awaitable<bool> more_body(RequestParser& parser);
  asio::awaitable<bool> keep_pace(std::uint64_t received);
  /// Lets the worker read on by itself, where that can be.
  void lend(SocketTap& tap);
  void take_back(SocketTap& tap);
  asio::awaitable<void> woken();
  asio::awaitable<Next> send(RequestParser& parser);
  asio::awaitable<bool> send_stream(Finished& finished, std::string head, bool chunked);
  /// What is around a body, and what was taken of it is counted; false: not all was taken.
  asio::awaitable<bool> write(std::string_view before, std::string_view body = {},
                              std::string_view after = {});
  /// Why not, of the last write.
  [[nodiscard]] std::string lost() const;
  asio::awaitable<void> drain(RequestParser& parser);
  asio::awaitable<void> linger();
  void watch_client();
  void stop_watching();
  void limit_time(Limit limit);
  void on_wake();
  void report(const Finished& finished);

  Common& common_;
  Loop& loop_;
  const Site& site_;
  std::unique_ptr<Wire> wire_;
  std::string peer_, asked_;
  bool known_method_ = false;  // of what is asked
  Inbox inbox_;
  asio::steady_timer signal_;
  Clock::SteadyTime deadline_ = Clock::SteadyTime::max(), began_{};
  std::shared_ptr<Exchange> exchange_;
  BodyPace pace_;
  std::uint64_t sent_ = 0;  // bytes of the body of this answer
  bool idle_ = false, woken_ = false, pumping_ = false, watching_ = false, late_ = false;
  bool timed_out_ = false, cut_ = false, continue_said_ = false;
  bool gone_ = false;  // the client has said all that it will
};

}  // namespace artcache::http
