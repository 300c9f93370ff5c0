// SPDX-License-Identifier: Apache-2.0
// The body of a request on its way from the client to its handler.
#include <algorithm>
#include <utility>

#include "http/connection.hpp"

namespace artcache::http {
namespace {

// Of a body that its handler takes as it comes, so much is there before that takes a thread.
constexpr std::uint64_t kReadFirst = 64 * 1024;
// What the bodies of all connections may take until their handlers are called. Where that is not
// enough they are refused: a handler that was called without its body would wait in a thread.
constexpr std::size_t kReadAheadMost = 64 * 1024 * 1024;
constexpr std::size_t kBodyRoom = 256 * 1024;

/// What was lent ends with its scope, also when that ends because the server does.
struct TakenBack {
  explicit TakenBack(std::shared_ptr<Exchange> its) : exchange(std::move(its)) {}
  ~TakenBack() { exchange->body.take_back(); }
  TakenBack(const TakenBack&) = delete;
  TakenBack& operator=(const TakenBack&) = delete;
  const std::shared_ptr<Exchange> exchange;
};

}  // namespace

asio::awaitable<void> Connection::until_answered(RequestParser& parser) {
  SocketTap tap(parser, wire_->socket().native_handle());
  const TakenBack in_the_end{exchange_};
  while (!exchange_->answered() && !cut_) {
    if (!parser.body_done() && exchange_->body.wants()) {
      co_await pump(parser);
      continue;
    }
    // Before the whole body was read it is the reading that meets the end, after what was sent.
    if (parser.body_done())
      watch_client();
    else
      lend(tap);
    co_await woken();
    take_back(tap);
  }
  stop_watching();  // it must not see what the next request sends
}

void Connection::feed(RequestParser& parser) {
  BodyPipe& body = exchange_->body;
  RequestParser::Pieces pieces;
  const std::size_t used = parser.give(inbox_.view(), pieces);
  std::string all;
  for (const std::string_view piece : pieces) all.append(piece);
  inbox_.use(used);
  body.put(std::move(all));
  if (parser.body_done())
    body.end();
  else if (parser.refusal())
    body.fail({Errc::invalid_argument, "body: " + parser.refusal()->reason});
}

asio::awaitable<void> Connection::read_ahead(RequestParser& parser, Share& share) {
  BodyPipe& body = exchange_->body;
  const bool whole = exchange_->route->body_most <= kReadWhole;
  // A client that asks before it sends much is to be told by the handler.
  if (!whole && parser.expects_continue()) co_return;
  for (;;) {
    feed(parser);
    if (const auto failure = body.failure()) {
      exchange_->answer(*failure);
      co_return;
    }
    const std::uint64_t here = body.received();
    if (parser.body_done() || (!whole && here >= kReadFirst)) co_return;
    if (share.grow_to(static_cast<std::size_t>(here)) >= kReadAheadMost) {
      exchange_->answer(Problem{.status = 503,
                                .detail = "Too many bodies are on their way; try again",
                                .headers = {{"Retry-After", "5"}}});
      co_return;
    }
    if (!co_await more_body(parser) && cut_) co_return;
  }
}

asio::awaitable<void> Connection::pump(RequestParser& parser) {
  feed(parser);
  if (exchange_->body.wants()) co_await more_body(parser);
}

asio::awaitable<bool> Connection::more_body(RequestParser& parser) {
  BodyPipe& body = exchange_->body;
  if (body.received() == 0 && parser.expects_continue() && !std::exchange(continue_said_, true))
    co_await write("HTTP/1.1 100 Continue\r\n\r\n");
  pumping_ = true;
  const bool more = co_await keep_pace(body.received());
  pumping_ = false;
  if (more || exchange_->answered()) co_return more;
  if (timed_out_) {
    body.fail({Errc::timed_out, pace_.complaint()});
    co_return false;
  }
  body.fail({Errc::cancelled, "body: the client went away"});
  exchange_->stop.request_stop();
  co_return false;
}

asio::awaitable<bool> Connection::keep_pace(std::uint64_t received) {
  pace_.received(received);
  const auto patience = pace_.patience();
  timed_out_ = patience && *patience <= BodyPace::Time(0);
  if (timed_out_) co_return false;
  const auto begun = common_.deps.clock->steady();
  const bool more =
      co_await read_more(patience ? std::chrono::ceil<Limit>(*patience) : Limit{}, kBodyRoom);
  pace_.waited(common_.deps.clock->steady() - begun);
  co_return more;
}

void Connection::lend(SocketTap& tap) {
  if (wire_->is_plain() && inbox_.empty()) exchange_->body.lend(tap);
}

void Connection::take_back(SocketTap& tap) {
  exchange_->body.take_back();
  inbox_.put(tap.take_rest());
}

asio::awaitable<void> Connection::drain(RequestParser& parser) {
  RequestParser::Pieces dropped;
  std::uint64_t received = exchange_->body.received();
  for (;;) {
    dropped.clear();
    inbox_.use(parser.give(inbox_.view(), dropped));
    if (parser.body_done() || parser.refusal()) co_return;
    for (const std::string_view piece : dropped) received += piece.size();
    if (!co_await keep_pace(received)) co_return;
  }
}

}  // namespace artcache::http
