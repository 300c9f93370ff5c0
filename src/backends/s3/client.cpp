// SPDX-License-Identifier: Apache-2.0
#include "backends/s3/client.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <stop_token>

#include "backends/s3/transfer.hpp"
#include "util/try.hpp"

namespace artcache::s3 {
namespace {

constexpr std::chrono::milliseconds kPollMost{1000};

}  // namespace

/// One multi handle and what runs in it. For one thread at a time.
class Client::Session {
 public:
  Session() : multi_(curl_multi_init()) {}
  ~Session() {
    drop();
    curl_multi_cleanup(multi_);
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  Result<void> run(const Client& client, const Next& next, const Done& done, const Call& call);

 private:
  void start(Transfer& transfer) {
    transfer.prepare();
    curl_multi_add_handle(multi_, transfer.handle());
  }
  Result<void> take_ended(const Done& done);
  Result<void> wait(const Client& client, const Call& call);
  void restart_due(Clock::SteadyTime now);
  Error given_up(Error error) const {
    for (const auto& transfer : transfers_) error = transfer->given_up(std::move(error));
    return error;
  }
  void drop() {
    for (const auto& transfer : transfers_) curl_multi_remove_handle(multi_, transfer->handle());
    transfers_.clear();
    waiting_.clear();
  }

  CURLM* const multi_;
  std::vector<std::unique_ptr<Transfer>> transfers_;
  std::vector<Transfer*> waiting_;  // for their next attempt
};

Result<void> Client::Session::take_ended(const Done& done) {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result;
    Transfer* transfer = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
    curl_multi_remove_handle(multi_, transfer->handle());
    if (transfer->ended(code)) {
      waiting_.push_back(transfer);
      continue;
    }
    const auto at = std::find_if(transfers_.begin(), transfers_.end(),
                                 [&](const auto& owned) { return owned.get() == transfer; });
    const std::unique_ptr<Transfer> owned = std::move(*at);
    transfers_.erase(at);
    ARTCACHE_CHECK(done(owned->index(), owned->result()));
  }
  return {};
}

void Client::Session::restart_due(Clock::SteadyTime now) {
  std::erase_if(waiting_, [&](Transfer* transfer) {
    if (transfer->not_before() > now) return false;
    start(*transfer);
    return true;
  });
}

Result<void> Client::Session::wait(const Client& client, const Call& call) {
  ARTCACHE_CHECK(call.check("s3", client.clock()));
  auto most = std::chrono::nanoseconds(kPollMost);
  most = std::min(most, call.remaining(client.clock()));
  for (const Transfer* transfer : waiting_)
    most =
        std::min<std::chrono::nanoseconds>(most, transfer->not_before() - client.clock().steady());
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(most).count();
  curl_multi_poll(multi_, nullptr, 0, static_cast<int>(std::max<std::int64_t>(ms, 0)), nullptr);
  return {};
}

Result<void> Client::Session::run(const Client& client, const Next& next, const Done& done,
                                  const Call& call) {
  const std::stop_callback wake(call.stop, [this] { curl_multi_wakeup(multi_); });
  std::size_t index = 0;
  for (;;) {
    while (transfers_.size() < client.target().concurrency) {
      auto request = next();
      if (!request) break;
      transfers_.push_back(std::make_unique<Transfer>(client, index++, std::move(*request)));
      start(*transfers_.back());
    }
    if (transfers_.empty()) return {};
    int running = 0;
    curl_multi_perform(multi_, &running);
    const std::size_t before = transfers_.size();
    Result<void> result = take_ended(done);
    if (result && transfers_.size() == before) result = wait(client, call);
    if (!result) {
      result = given_up(std::move(result).error());
      drop();
      return result;
    }
    restart_due(client.clock().steady());
  }
}

Client::Client(Target target, const Clock& clock, Metrics& metrics)
    : target_(std::move(target)), clock_(clock), metrics_(metrics) {
  static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
  (void)started;
}

Client::~Client() = default;

std::unique_ptr<Client::Session> Client::take() {
  const util::MutexLock guard(mutex_);
  if (idle_.empty()) return std::make_unique<Session>();
  auto session = std::move(idle_.back());
  idle_.pop_back();
  return session;
}

void Client::give_back(std::unique_ptr<Session> session) {
  const util::MutexLock guard(mutex_);
  if (idle_.size() < target_.concurrency) idle_.push_back(std::move(session));
}

void Client::count(const Request& request) const {
  const bool is_list = request.method == "GET" && request.key.empty();
  const MetricLabel label{"operation", is_list ? std::string_view("LIST") : request.method};
  metrics_.count("artcache_s3_requests_total", {&label, 1}, 1);
}

Result<void> Client::send_all(const Next& next, const Done& done, const Call& call) {
  ARTCACHE_CHECK(call.check("s3", clock_));
  auto session = take();
  auto result = session->run(*this, next, done, call);
  give_back(std::move(session));
  return result;
}

Result<void> Client::send_many(std::size_t count, const Make& make, const Done& done,
                               const Call& call) {
  std::size_t made = 0;
  const auto next = [&]() -> std::optional<Request> {
    if (made == count) return std::nullopt;
    return make(made++);
  };
  return send_all(next, done, call);
}

Result<Response> Client::send(const Request& request, const Call& call) {
  Result<Response> answer = Error{};
  auto sent = send_many(
      1, [&](std::size_t) { return request; },
      [&](std::size_t, Result<Response> response) {
        answer = std::move(response);
        return Result<void>();
      },
      call);
  if (!sent) return std::move(sent).error().in("s3: " + request.subject);
  return answer;
}

}  // namespace artcache::s3
