// SPDX-License-Identifier: Apache-2.0
#include "http/exchange.hpp"

#include <exception>
#include <utility>

namespace artcache::http {
namespace {

constexpr std::size_t kStreamBuffer = 256 * 1024;

Problem bug(std::string cause) {
  return {.status = 500, .detail = "Internal Server Error", .cause = std::move(cause)};
}

/// What a body that could not be read whole is, whatever the handler made of it.
std::optional<Problem> problem_of_body(const std::optional<Error>& failure) {
  if (!failure) return std::nullopt;
  switch (failure->code) {
    case Errc::no_space:
      return Problem{.status = 413, .detail = failure->message};
    case Errc::timed_out:
      return Problem{.status = 408, .detail = failure->message};
    case Errc::invalid_argument:
      return Problem{.status = 400, .detail = failure->message};
    default:
      return Problem{.status = 499, .detail = failure->message};
  }
}

/// Answers for a late handler that let go of its Answer without calling it.
class LateAnswer {
 public:
  explicit LateAnswer(std::shared_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}
  ~LateAnswer() { exchange_->answer(bug("a late handler never answered")); }
  LateAnswer(const LateAnswer&) = delete;
  LateAnswer& operator=(const LateAnswer&) = delete;
  void give(Reply reply) { exchange_->answer(std::move(reply)); }

 private:
  std::shared_ptr<Exchange> exchange_;
};

}  // namespace

Exchange::Exchange(const Site& site, std::optional<std::uint64_t> length, std::uint64_t body_most,
                   std::function<void()> wake)
    : body(length, body_most, [this] { this->wake(); }), site_(site), wake_(std::move(wake)) {
  request.body = &body;
  request.call.stop = stop.get_token();
}

bool Exchange::run(const std::function<std::optional<Reply>()>& work) {
  try {
    auto reply = work();
    if (!reply) return false;
    answer(*std::move(reply));
  } catch (const std::exception& thrown) {
    answer(bug(std::string("the handler threw: ") + thrown.what()));
  } catch (...) {
    answer(bug("the handler threw"));
  }
  return true;
}

bool Exchange::run_quick() {
  if (!route->quick) return false;
  if (run([this] { return route->quick(request); })) return true;
  if (route->handler) return false;
  answer(bug("a quick handler without another one did not answer"));
  return true;
}

void Exchange::run_handler() {
  run([this] { return std::optional<Reply>(route->handler(request)); });
}

void Exchange::run_late() {
  const auto token = std::make_shared<LateAnswer>(shared_from_this());
  try {
    route->late(request, [token](Reply reply) { token->give(std::move(reply)); });
  } catch (const std::exception& thrown) {
    token->give(bug(std::string("the handler threw: ") + thrown.what()));
  } catch (...) {
    token->give(bug("the handler threw"));
  }
}

void Exchange::answer(Reply reply) {
  {
    const std::scoped_lock held(mutex_);
    if (std::exchange(claimed_, true) || !wake_) return;
  }
  const bool success = reply.response() != nullptr && reply.response()->status < 400;
  if (auto problem = success ? std::nullopt : problem_of_body(body.failure()))
    reply = *std::move(problem);
  Finished made;
  try {
    made = finish(std::move(reply), request, site_);
  } catch (const std::exception& thrown) {  // of the renderer, or no memory
    made = finish(Response{.status = 500}, request, site_);
    made.cause = thrown.what();
  }
  const std::scoped_lock held(mutex_);
  finished_ = std::move(made);
  answered_ = true;
  if (wake_) wake_();
}

bool Exchange::answered() const {
  const std::scoped_lock held(mutex_);
  return answered_;
}

void Exchange::abandon() {
  {
    const std::scoped_lock held(mutex_);
    wake_ = nullptr;
    if (answered_) return;
  }
  stop.request_stop();
  body.fail({Errc::cancelled, "body: the connection was closed"});
}

void Exchange::wake() {
  const std::scoped_lock held(mutex_);
  if (wake_) wake_();
}

Feed::Feed(std::shared_ptr<Exchange> exchange, Pool& pool)
    : exchange_(std::move(exchange)), pool_(pool) {}

void Feed::fill() {
  {
    const std::scoped_lock held(mutex_);
    filled_.reset();
  }
  pool_.resume([self = shared_from_this(), this] {
    auto& buffer = buffers_[next_];
    if (buffer.empty()) buffer.resize(kStreamBuffer);
    Result<std::size_t> got = std::size_t{0};
    try {
      got = exchange_->finished().stream->read(buffer, exchange_->request.call);
    } catch (const std::exception& thrown) {
      got = Error{Errc::internal, std::string("body: the source threw: ") + thrown.what()};
    }
    {
      const std::scoped_lock held(mutex_);
      filled_ = std::move(got);
    }
    exchange_->wake();
  });
}

bool Feed::filled() const {
  const std::scoped_lock held(mutex_);
  return filled_.has_value();
}

Result<std::span<const std::byte>> Feed::take() {
  const std::scoped_lock held(mutex_);
  if (!*filled_) return filled_->error();
  const auto bytes = std::span<const std::byte>(buffers_[next_]).first(**filled_);
  next_ = 1 - next_;
  return bytes;
}

}  // namespace artcache::http
