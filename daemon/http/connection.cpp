// SPDX-License-Identifier: Apache-2.0
#include "http/connection.hpp"
#include "util/here.hpp"

#include <poll.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <charconv>
#include <cstring>
#include <utility>

namespace artcache::http {
namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kFirstRoom = 4 * 1024;
// So much of a body that nobody read is thrown away to keep the connection.
constexpr std::uint64_t kDrainMost = 64 * 1024;
// A client that still sends while it is refused gets so long to notice, so that its unread bytes
// do not reset the connection before it has read the answer.
constexpr std::chrono::milliseconds kLinger{2000};

// Of a target that is longer, the rest does not help whoever reads the log.
constexpr std::size_t kMethodLogged = 20;
constexpr std::size_t kTargetLogged = 200;

/// As it was sent, for the access log, also where it is nothing that we know.
std::string asked(const RequestParser& parser) {
  const auto or_dash = [](std::string_view text) { return text.empty() ? "-" : text; };
  return std::string(or_dash(parser.method().substr(0, kMethodLogged))) + " " +
         std::string(or_dash(std::string_view(parser.target()).substr(0, kTargetLogged)));
}

/// What there is to know of a request before it has an Exchange.
struct Understood {
  std::optional<Method> method = {};  // nothing: one that nobody knows
  Target target = {};
  Pairs query = {};
  Site::Match match = {};
  std::optional<Problem> problem = {};
};

Understood understand(const RequestParser& parser, const Site& site) {
  Understood understood;
  const auto refuse = [&](int status, std::string detail) {
    understood.problem = Problem{.status = status, .detail = std::move(detail)};
    return std::move(understood);
  };
  const auto method = parse_method(parser.method());
  if (method) understood.method = *method;
  if (parser.refusal()) return refuse(parser.refusal()->status, parser.refusal()->reason);
  if (!parser.head_done()) return refuse(408, "The header took too long");
  if (!method) return refuse(501, "Method Not Implemented");
  auto target = parse_target(parser.target());
  if (!target) return refuse(400, target.error().message);
  understood.target = *std::move(target);
  auto query = parse_pairs(understood.target.raw_query);
  if (!query) return refuse(400, query.error().message);
  understood.query = *std::move(query);
  understood.match = site.find(*method, understood.target.raw_path);
  return understood;
}

std::string peer_of(const Socket& socket) {
  boost::system::error_code error;
  const auto endpoint = socket.remote_endpoint(error);
  return error ? std::string() : endpoint.address().to_string();
}

}  // namespace

void Inbox::use(std::size_t size) {
  begin_ += size;
  if (begin_ == end_) begin_ = end_ = 0;
}

void Inbox::shrink() {
  if (empty() && data_.size() > kFirstRoom) data_ = {};
  filled_ = false;
}

void Inbox::put(std::string_view bytes) {
  data_.resize(std::max(data_.size(), end_ + bytes.size()));
  std::ranges::copy(bytes, data_.begin() + static_cast<std::ptrdiff_t>(end_));
  end_ += bytes.size();
}

std::span<char> Inbox::room(std::size_t most) {
  if (begin_ > 0 && end_ == data_.size()) {
    std::memmove(data_.data(), data_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if ((filled_ || end_ == data_.size()) && data_.size() < most)
    data_.resize(std::min(most, std::max(kFirstRoom, data_.size() * 4)));
  return {data_.data() + end_, data_.size() - end_};
}

Connection::Connection(Common& common, Loop& loop, const Site& site, std::unique_ptr<Wire> wire)
    : common_(common),
      loop_(loop),
      site_(site),
      wire_(std::move(wire)),
      peer_(peer_of(wire_->socket())),
      signal_(loop.io, asio::steady_timer::time_point::max()),
      pace_(site.limits) {
  loop_.connections.insert(this);
  boost::system::error_code ignored;
  wire_->socket().set_option(asio::ip::tcp::no_delay(true), ignored);
}

Connection::~Connection() {
  let_go();
  loop_.connections.erase(this);
  --common_.connections;
}

void Connection::let_go() {
  if (!exchange_) return;
  exchange_->abandon();
  exchange_->stop.request_stop();  // what is read ahead of an answer that is being sent
}

asio::awaitable<void> Connection::run() {
  const auto self = shared_from_this();
  limit_time(site_.limits.header_timeout);
  Next next = co_await wire_->open() ? Next::keep : Next::close;
  while (next == Next::keep) {
    next = co_await serve_one();
    if (exchange_) {
      exchange_->abandon();
      exchange_.reset();
    }
  }
  if (next == Next::linger) co_await linger();
  limit_time({});
  boost::system::error_code ignored;
  wire_->socket().close(ignored);
}

asio::awaitable<Connection::Next> Connection::serve_one() {
  RequestParser parser(
      {.bytes = site_.limits.header_most, .fields = site_.limits.header_fields_most});
  const bool readable = co_await read_head(parser);
  limit_time({});
  if (!readable) co_return Next::close;
  began_ = common_.deps.clock->steady();
  sent_ = 0;
  continue_said_ = watching_ = late_ = false;
  pace_ = BodyPace(site_.limits);
  Share ahead(common_.read_ahead);
  if (begin(parser)) {
    if (!parser.body_done()) co_await read_ahead(parser, ahead);
    if (!cut_ && !exchange_->answered()) call_handler();
  }
  co_await until_answered(parser);
  if (!exchange_->answered()) co_return Next::close;
  co_return co_await send(parser);
}

asio::awaitable<bool> Connection::read_head(RequestParser& parser) {
  RequestParser::Pieces none;
  Limit limit = site_.limits.header_timeout;
  auto begun = common_.deps.clock->steady();
  for (;;) {
    // Old clients send an empty line behind a body.
    while (inbox_.view().starts_with("\r\n")) inbox_.use(2);
    inbox_.use(parser.give(inbox_.view(), none));
    if (parser.head_done() || parser.refusal()) co_return true;
    idle_ = inbox_.empty();
    if (idle_ && common_.stopping) co_return false;
    if (idle_) inbox_.shrink();
    if (!idle_ && limit.count() > 0) {
      const auto passed = common_.deps.clock->steady() - begun;
      limit = std::max(Limit(1),
                       site_.limits.header_timeout - std::chrono::duration_cast<Limit>(passed));
    }
    const std::size_t most =
        site_.limits.header_most == 0 ? SIZE_MAX : site_.limits.header_most + kFirstRoom;
    const bool more = co_await read_more(idle_ ? site_.limits.idle_timeout : limit, most);
    const bool was_idle = std::exchange(idle_, false);
    if (more && was_idle) begun = common_.deps.clock->steady();
    if (more) continue;
    // A half-sent request is told what is wrong with it; silence is not.
    if (was_idle || !timed_out_) co_return false;
    co_return true;
  }
}

asio::awaitable<bool> Connection::read_more(Limit limit, std::size_t most) {
  const std::span<char> room = inbox_.room(most);
  if (room.empty()) co_return false;
  limit_time(limit);
  const auto [error, size] =
      co_await wire_->read_some(asio::mutable_buffer(room.data(), room.size()));
  deadline_ = Clock::SteadyTime::max();
  if (error) {
    // The end is told once: who reads again is not woken.
    gone_ = error != asio::error::operation_aborted;
    co_return false;
  }
  inbox_.add(size);
  co_return true;
}

bool Connection::begin(RequestParser& parser) {
  const auto wake = [weak = weak_from_this(), executor = loop_.io.get_executor()] {
    asio::post(executor, [weak] {
      if (const auto self = weak.lock()) self->on_wake();
    });
  };
  Understood understood = understand(parser, site_);
  asked_ = asked(parser);
  const Route* route = understood.match.route;
  exchange_ = std::make_shared<Exchange>(site_, parser.head_done() ? parser.length() : 0,
                                         route == nullptr ? 0 : route->body_most, wake);
  if (wire_->is_plain()) exchange_->body.expect_taps();
  exchange_->route = route;
  Request& request = exchange_->request;
  request.method = understood.method.value_or(Method::get);
  known_method_ = understood.method.has_value();
  request.target = parser.target();
  request.path = std::move(understood.target.path);
  request.query = std::move(understood.query);
  request.values = std::move(understood.match.values);
  request.headers = std::move(parser.headers());
  request.peer = peer_;
  request.call.request_id = request_id(request.headers);
  if (parser.body_done()) exchange_->body.end();
  if (understood.problem)
    exchange_->answer(*std::move(understood.problem));
  else if (route == nullptr)
    exchange_->answer(without_route(site_, request, understood.match));
  else
    return dispatch(parser);
  return false;
}

bool Connection::dispatch(const RequestParser& parser) {
  const Route& route = *exchange_->route;
  try {
    if (route.guard)
      if (auto problem = route.guard(exchange_->request)) {
        exchange_->answer(*std::move(problem));
        return false;
      }
  } catch (const std::exception& thrown) {
    exchange_->answer(Problem{.status = 500,
                              .detail = "Internal Server Error",
                              .cause = std::string("the guard threw: ") + thrown.what()});
    return false;
  }
  if (parser.length().value_or(0) > route.body_most) {
    exchange_->answer(Problem{.status = 413,
                              .detail = "The body is longer than the " +
                                        std::to_string(route.body_most) + " bytes that are taken"});
    return false;
  }
  if (!route.late) return !exchange_->run_quick();
  late_ = true;
  if (common_.stopping) exchange_->stop.request_stop();
  exchange_->run_late();
  return false;
}

void Connection::call_handler() {
  const auto refuse = [&](std::string detail, std::string later) {
    exchange_->answer(Problem{.status = 503,
                              .detail = std::move(detail),
                              .headers = {{"Retry-After", std::move(later)}}});
  };
  if (exchange_->route->threads == Threads::lasting) {
    exchange_->seat = std::make_shared<Share>(common_.seats_taken);
    if (exchange_->seat->grow_to(1) > common_.seats) {
      exchange_->seat.reset();  // not only when the answer was sent
      refuse("Too many requests that last are under way; try again", "5");
      return;
    }
  }
  if (!pool().submit([exchange = exchange_] { exchange->run_handler(); }))
    refuse("Too many requests are waiting; try again", "1");
}

Pool& Connection::pool() const {
  return exchange_->route->threads == Threads::lasting ? common_.lasting : common_.pool;
}

asio::awaitable<void> Connection::woken() {
  // Whoever wakes posts to this thread: between the check and the wait nothing can happen.
  if (!woken_) co_await signal_.async_wait(kAwait);
  woken_ = false;
}

void Connection::on_wake() {
  woken_ = true;
  signal_.cancel();
  boost::system::error_code ignored;
  if (pumping_ && exchange_ && exchange_->answered()) wire_->socket().cancel(ignored);
}

void Connection::watch_client() {
  if (std::exchange(watching_, true)) return;
  wire_->socket().async_wait(
      Socket::wait_read,
      [weak = std::weak_ptr(exchange_), self = weak_from_this()](boost::system::error_code error) {
        const auto exchange = weak.lock();
        const auto connection = self.lock();
        if (error || !exchange || !connection || exchange->answered()) return;
        // Readable means more to read, or the end: only the latter counts.
        pollfd state{connection->wire_->socket().native_handle(), POLLRDHUP, 0};
        if (poll(&state, 1, 0) > 0) exchange->stop.request_stop();
      });
}

void Connection::stop_watching() {
  boost::system::error_code ignored;
  if (std::exchange(watching_, false)) wire_->socket().cancel(ignored);
}

asio::awaitable<Connection::Next> Connection::send(RequestParser& parser) {
  Finished& finished = exchange_->finished();
  const bool unread = parser.refusal() || !parser.head_done() || !parser.body_done();
  const bool droppable = !parser.refusal() && parser.head_done() && parser.length() &&
                         parser.left() <= kDrainMost &&
                         (!parser.expects_continue() || continue_said_);
  const bool framed = !finished.stream || finished.length || !parser.is_http_1_0();
  const bool keep = parser.head_done() && parser.keep_alive() && !common_.stopping && framed &&
                    (!unread || droppable) && !exchange_->body.failure() && !gone_;
  std::string head = std::move(finished.head);
  if (!keep)
    head.append("Connection: close\r\n");
  else if (parser.is_http_1_0())
    head.append("Connection: keep-alive\r\n");
  bool whole = true;
  if (finished.stream) {
    if (!finished.length && framed) head.append("Transfer-Encoding: chunked\r\n");
    head.append("\r\n");
    whole = co_await send_stream(finished, std::move(head), framed && !finished.length);
  } else {
    head.append("\r\n");
    whole = co_await write(head, finished.body);
    if (!whole && timed_out_) finished.cause = lost();
  }
  report(finished);
  if (!whole) co_return Next::close;
  if (unread && keep) co_await drain(parser);
  if (keep && (!unread || parser.body_done())) co_return Next::keep;
  co_return unread && !gone_ ? Next::linger : Next::close;
}

asio::awaitable<bool> Connection::send_stream(Finished& finished, std::string head, bool chunked) {
  const auto feed = std::make_shared<Feed>(exchange_, pool());
  const auto failed = [&](std::string why) {
    finished.cause = std::move(why);
    return false;
  };
  feed->fill();
  for (;;) {
    while (!feed->filled() && !cut_) co_await woken();
    if (cut_) co_return failed(lost());
    const auto piece = feed->take();
    if (!piece) co_return failed(to_string(piece.error()));
    const std::string_view bytes{reinterpret_cast<const char*>(piece->data()), piece->size()};
    if (finished.length && sent_ + bytes.size() > *finished.length)
      co_return failed("the source gave more than it announced");
    if (bytes.empty()) break;
    feed->fill();
    if (chunked) {
      std::array<char, 20> size{};
      head.append(size.data(), std::to_chars(size.data(), size.end(), bytes.size(), 16).ptr);
      head.append("\r\n");
    }
    if (!co_await write(head, bytes, chunked ? "\r\n" : "")) {
      exchange_->stop.request_stop();            // what waits for news need not go on
      while (!feed->filled()) co_await woken();  // it still writes into its buffer
      co_return failed(lost());
    }
    head.clear();
  }
  if (finished.length && sent_ != *finished.length)
    co_return failed("the source gave less than it announced");
  if (chunked) head.append("0\r\n\r\n");
  co_return co_await write(head);
}

std::string Connection::lost() const {
  if (cut_) return "the server stopped before the answer was whole";
  if (timed_out_) return "the client did not take a piece of the answer within write_timeout";
  return "the client went away";
}

asio::awaitable<bool> Connection::write(std::string_view before, std::string_view body,
                                        std::string_view after) {
  if (cut_) co_return false;
  limit_time(site_.limits.write_timeout);
  const Wire::Pieces pieces{asio::buffer(before.data(), before.size()),
                            asio::buffer(body.data(), body.size()),
                            asio::buffer(after.data(), after.size())};
  const auto [error, size] = co_await wire_->write(pieces);
  deadline_ = Clock::SteadyTime::max();
  sent_ += std::min(body.size(), size - std::min(size, before.size()));
  co_return !error;
}

asio::awaitable<void> Connection::linger() {
  boost::system::error_code ignored;
  wire_->socket().shutdown(Socket::shutdown_send, ignored);
  limit_time(kLinger);
  const auto until = deadline_;
  std::array<char, 16 * 1024> dropped{};
  while (!cut_) {
    const auto [error, size] = co_await wire_->socket().async_read_some(
        asio::buffer(dropped.data(), dropped.size()), kAwait);
    if (error || common_.deps.clock->steady() > until) co_return;
  }
}

void Connection::limit_time(Limit limit) {
  timed_out_ = false;
  deadline_ = limit.count() > 0 ? common_.deps.clock->steady() + limit : Clock::SteadyTime::max();
}

void Connection::check_time(Clock::SteadyTime now) {
  // The deadline stays until what it is for has ended: a step of that which is done already, and
  // waits for its turn on this thread, is not interrupted, and the next step is another wait.
  if (now < deadline_) return;
  timed_out_ = true;
  boost::system::error_code ignored;
  wire_->socket().cancel(ignored);
}

void Connection::wind_down() {
  boost::system::error_code ignored;
  if (late_ && exchange_) exchange_->stop.request_stop();
  if (idle_) wire_->socket().cancel(ignored);
}

void Connection::cut() {
  cut_ = true;
  if (exchange_) {
    exchange_->stop.request_stop();
    exchange_->body.take_back();  // before its socket is closed
  }
  boost::system::error_code ignored;
  wire_->socket().close(ignored);
  on_wake();
}

void Connection::report(const Finished& finished) {
  const Request& request = exchange_->request;
  const double seconds =
      std::chrono::duration<double>(common_.deps.clock->steady() - began_).count();
  const std::string status = std::to_string(finished.status);
  const std::string_view method = known_method_ ? to_string(request.method) : "other";
  const std::string_view route =
      exchange_->route == nullptr ? "none" : std::string_view(exchange_->route->pattern);
  const MetricLabel labels[] = {
      {"site", site_.name()}, {"method", method}, {"route", route}, {"status", status}};
  common_.deps.metrics->count("http_requests_total", labels, 1);
  common_.deps.metrics->observe("http_request_duration_seconds", std::span(labels).first(3),
                                seconds);
  Logger& logger = *common_.deps.logger;
  if (logger.enabled(LogLevel::info)) {
    const std::string message = asked_ + " " + status;
    const LogField fields[] = {{"site", std::string_view(site_.name())},
                               {"bytes", static_cast<std::int64_t>(sent_)},
                               {"seconds", seconds},
                               {"peer", std::string_view(peer_)},
                               {"user", request.identity ? std::string_view(request.identity->name)
                                                         : std::string_view("-")},
                               {"reason", std::string_view(finished.reason)}};
    logger.log({.level = LogLevel::info,
                .logger = "access",
                .message = message,
                .fields = std::span(fields).first(finished.reason.empty() ? 5 : 6),
                .request_id = request.call.request_id});
  }
  if (finished.cause.empty()) return;
  const std::string source = util::here();
  const LogField fields[] = {{"site", std::string_view(site_.name())},
                             {"operation", method},
                             {"route", route},
                             {"status", static_cast<std::int64_t>(finished.status)},
                             {"source", std::string_view(source)}};
  logger.log({.level = finished.status >= 500 ? LogLevel::error : LogLevel::warning,
              .logger = "http",
              .message = finished.cause,
              .fields = fields,
              .request_id = request.call.request_id});
}

}  // namespace artcache::http
