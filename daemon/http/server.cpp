// SPDX-License-Identifier: Apache-2.0
#include "http/server.hpp"

#include <algorithm>
#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <list>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "http/connection.hpp"
#include "util/here.hpp"
#include "util/try.hpp"

namespace artcache::http {
namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::milliseconds kSweep{100};
constexpr std::chrono::milliseconds kStopPoll{20};
// For connections that were cut to unwind.
constexpr std::chrono::milliseconds kCutGrace{2000};
constexpr int kBacklog = 1024;

struct Listener {
  Listener(const Site& its_site, asio::io_context& io, std::unique_ptr<Tls> its_tls)
      : site(its_site), acceptor(io), tls(std::move(its_tls)) {}
  const Site& site;
  asio::ip::tcp::acceptor acceptor;
  std::unique_ptr<Tls> tls;
  /// Shared, since connections are let go of after the listeners.
  std::shared_ptr<std::atomic<std::size_t>> connections =
      std::make_shared<std::atomic<std::size_t>>(0);
};

/// That of a connection among those of its listener.
class Seat {
 public:
  explicit Seat(const Listener& listener) : taken_(listener.connections) {}
  ~Seat() { --*taken_; }
  Seat(const Seat&) = delete;
  Seat& operator=(const Seat&) = delete;

 private:
  std::shared_ptr<std::atomic<std::size_t>> taken_;
};

std::string turned_away(const Site& site) {
  Request request;
  request.call.request_id = request_id(request.headers);
  const Finished answer = finish(Problem{.status = 503,
                                         .detail = "Too many connections; try again",
                                         .headers = {{"Retry-After", "5"}}},
                                 request, site);
  return answer.head + "Connection: close\r\n\r\n" + answer.body;
}

asio::awaitable<void> pause(std::chrono::milliseconds time) {
  asio::steady_timer timer(co_await asio::this_coro::executor, time);
  co_await timer.async_wait(kAwait);
}

asio::awaitable<void> serve(Common& common, Loop& loop, const Listener& listener, Socket socket) {
  const Seat seat(listener);
  const auto connection = std::make_shared<Connection>(
      common, loop, listener.site, make_wire(std::move(socket), listener.tls->now()));
  co_await connection->run();
}

asio::awaitable<void> sweep(Common& common, Loop& loop) {
  for (;;) {
    co_await pause(kSweep);
    const auto now = common.deps.clock->steady();
    for (Connection* connection : loop.connections) connection->check_time(now);
  }
}

void log(const Common& common, LogLevel level, const std::string& message,
         const std::string& source = util::here()) {
  const LogField fields[] = {{"source", source}};
  const std::size_t told = level == LogLevel::error ? 1 : 0;
  common.deps.logger->log({.level = level,
                           .logger = "http",
                           .message = message,
                           .fields = std::span(fields).first(told),
                           .request_id = {}});
}

}  // namespace

class Server::Impl {
 public:
  Impl(const ServerSettings& settings, const Deps& deps)
      : settings_(settings),
        common_(deps, settings.workers, settings.queue_most, settings.lasting_most) {
    std::size_t threads = settings.io_threads;
    if (threads == 0) threads = std::max(1U, std::thread::hardware_concurrency());
    for (std::size_t i = 0; i < threads; ++i) loops_.push_back(std::make_unique<Loop>());
  }

  Result<std::uint16_t> listen(const Site& site, const std::string& address, std::uint16_t port,
                               const TlsFiles& files);
  Result<void> reload_tls(const Site& site);
  Result<void> run(const Call& call);
  [[nodiscard]] Status status() const {
    const auto pool = common_.pool.status();
    return {.connections = common_.connections, .running = pool.running, .queued = pool.queued};
  }

 private:
  asio::awaitable<void> accept(Listener& listener);
  asio::awaitable<void> wind_down();
  asio::awaitable<void> until_empty(std::chrono::milliseconds most);
  void on_every_connection(void (Connection::*act)());
  void run_loop(Loop& loop);

  const ServerSettings settings_;
  Common common_;
  std::vector<std::unique_ptr<Loop>> loops_;
  std::list<Listener> listeners_;
  std::size_t next_loop_ = 0;
};

Result<std::uint16_t> Server::Impl::listen(const Site& site, const std::string& address,
                                           std::uint16_t port, const TlsFiles& files) {
  const std::string what = "listen: " + address + ":" + std::to_string(port);
  boost::system::error_code error;
  const auto ip = asio::ip::make_address(address == "localhost" ? "127.0.0.1" : address, error);
  if (error) return Error{Errc::invalid_argument, what + ": not an IP address"};
  auto tls = std::make_unique<Tls>(files);
  if (auto loaded = tls->load(); !loaded) return std::move(loaded).error().in(what);
  Listener listener(site, loops_.front()->io, std::move(tls));
  const asio::ip::tcp::endpoint endpoint(ip, port);
  auto& acceptor = listener.acceptor;
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(kBacklog, error);
  if (error) return Error{Errc::unavailable, what + ": " + error.message()};
  const std::uint16_t taken = acceptor.local_endpoint(error).port();
  listeners_.push_back(std::move(listener));
  return taken;
}

Result<void> Server::Impl::reload_tls(const Site& site) {
  for (const Listener& listener : listeners_)
    if (&listener.site == &site) ARTCACHE_CHECK(listener.tls->load());
  return {};
}

asio::awaitable<void> Server::Impl::accept(Listener& listener) {
  while (!common_.stopping) {
    Loop& loop = *loops_[next_loop_++ % loops_.size()];
    auto [error, socket] = co_await listener.acceptor.async_accept(loop.io.get_executor(), kAwait);
    if (common_.stopping) co_return;
    if (error) {
      // Most likely no descriptor is free: those who wait are served when one is.
      log(common_, LogLevel::warning, "a connection could not be taken: " + error.message());
      co_await pause(kSweep);
      continue;
    }
    const std::size_t most = listener.site.limits.connections_most;
    if (most != 0 && *listener.connections >= most) {
      boost::system::error_code ignored;
      socket.non_blocking(true, ignored);
      if (!listener.tls->now()) socket.send(asio::buffer(turned_away(listener.site)), 0, ignored);
      continue;
    }
    ++common_.connections;
    ++*listener.connections;
    asio::co_spawn(loop.io, serve(common_, loop, listener, std::move(socket)), asio::detached);
  }
}

void Server::Impl::on_every_connection(void (Connection::*act)()) {
  for (const auto& loop : loops_)
    asio::post(loop->io, [&loop = *loop, act] {
      for (Connection* connection : loop.connections) (connection->*act)();
    });
}

asio::awaitable<void> Server::Impl::until_empty(std::chrono::milliseconds most) {
  const auto until = std::chrono::steady_clock::now() + most;
  while (common_.connections > 0 && std::chrono::steady_clock::now() < until)
    co_await pause(kStopPoll);
}

asio::awaitable<void> Server::Impl::wind_down() {
  common_.stopping = true;
  boost::system::error_code ignored;
  for (Listener& listener : listeners_) listener.acceptor.close(ignored);
  on_every_connection(&Connection::wind_down);
  co_await until_empty(settings_.grace);
  on_every_connection(&Connection::cut);
  co_await until_empty(kCutGrace);
  for (const auto& loop : loops_) loop->io.stop();
}

void Server::Impl::run_loop(Loop& loop) {
  for (;;) {
    try {
      loop.io.run();
      return;
    } catch (const std::exception& thrown) {
      log(common_, LogLevel::error, std::string("an I/O thread caught: ") + thrown.what());
    }
  }
}

Result<void> Server::Impl::run(const Call& call) {
  for (Listener& listener : listeners_)
    asio::co_spawn(loops_.front()->io, accept(listener), asio::detached);
  for (const auto& loop : loops_) asio::co_spawn(loop->io, sweep(common_, *loop), asio::detached);
  const std::stop_callback stop(
      call.stop, [this] { asio::co_spawn(loops_.front()->io, wind_down(), asio::detached); });
  std::vector<std::thread> threads;
  for (const auto& loop : loops_)
    if (loop != loops_.front()) threads.emplace_back([this, &loop = *loop] { run_loop(loop); });
  run_loop(*loops_.front());
  for (std::thread& thread : threads) thread.join();
  // Where a loop was held up for longer than the grace for the cut: their handlers would wait for
  // bodies that nobody brings, and be waited for.
  for (const auto& loop : loops_)
    for (Connection* connection : loop->connections) connection->let_go();
  common_.pool.stop();
  common_.lasting.stop();
  return {};
}

Server::Server(ServerSettings settings, const Deps& deps)
    : impl_(std::make_unique<Impl>(settings, deps)) {}
Server::~Server() = default;

Result<std::uint16_t> Server::listen(Site& site, const std::string& address, std::uint16_t port,
                                     const TlsFiles& tls) {
  return impl_->listen(site, address, port, tls);
}

Result<void> Server::reload_tls(const Site& site) { return impl_->reload_tls(site); }
Result<void> Server::run(const Call& call) { return impl_->run(call); }
Server::Status Server::status() const { return impl_->status(); }

}  // namespace artcache::http
