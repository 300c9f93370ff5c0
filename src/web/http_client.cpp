// SPDX-License-Identifier: Apache-2.0
#include "web/http_client.hpp"

#include <algorithm>
#include <array>

#include "util/mutex.hpp"
#include "util/try.hpp"
#include "web/authorities.hpp"
#include "web/transfer.hpp"

namespace artcache::web {
namespace {

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return c > ' ' && c < '\x7f' && c != ':' && c != ';';
  });
}

// A line break would be a header, or a request, of somebody else's making.
Result<void> check(const HttpRequest& request) {
  if (!is_token(request.method)) return Error{Errc::invalid_argument, "http: no such method"};
  for (const auto& [name, value] : request.headers)
    if (!is_token(name) || value.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos)
      return Error{Errc::invalid_argument, "http: a header that cannot be sent: " + name};
  return {};
}

}  // namespace

std::string_view HttpHead::header(std::string_view name) const {
  for (const auto& [key, value] : headers)
    if (key == name) return value;
  return {};
}

/// The sessions that wait for the next request to their origin.
struct HttpClient::Impl {
  Impl(HttpSettings chosen, const Clock& now)
      : settings(std::move(chosen)), clock(now), authorities(settings.ca) {}

  std::unique_ptr<Session> take(std::string origin) {
    {
      const util::MutexLock guard(mutex);
      // The one used last: it is the least likely to have been closed by the server.
      const auto at = std::find_if(idle.rbegin(), idle.rend(),
                                   [&](const auto& session) { return session->origin == origin; });
      if (at != idle.rend()) {
        auto session = std::move(*at);
        idle.erase(std::next(at).base());
        return session;
      }
    }
    return std::make_unique<Session>(std::move(origin));
  }

  void give_back(std::unique_ptr<Session> session) {
    std::unique_ptr<Session> oldest;  // ends outside the lock
    const util::MutexLock guard(mutex);
    idle.push_back(std::move(session));
    if (idle.size() <= settings.idle_most) return;
    oldest = std::move(idle.front());
    idle.erase(idle.begin());
  }

  const HttpSettings settings;
  const Clock& clock;
  Authorities authorities;
  util::Mutex mutex;
  std::vector<std::unique_ptr<Session>> idle ARTCACHE_GUARDED_BY(mutex);
};

namespace {

/// Gives the connection back when the answer was read to its end.
template <class Pool>
class Stream final : public HttpStream {
 public:
  Stream(std::shared_ptr<Pool> pool, HttpRequest request, std::unique_ptr<Session> session)
      : pool_(std::move(pool)),
        transfer_({pool_->settings, pool_->authorities.now()}, pool_->clock, std::move(request),
                  std::move(session)) {}
  ~Stream() override {
    if (auto session = transfer_.take_session()) pool_->give_back(std::move(session));
  }

  Result<void> until_head(const Call& call) { return transfer_.until_head(call); }
  [[nodiscard]] const HttpHead& head() const override { return transfer_.head(); }
  Result<std::size_t> read(std::span<std::byte> into, const Call& call) override {
    return transfer_.read(into, call);
  }

 private:
  const std::shared_ptr<Pool> pool_;
  Transfer transfer_;
};

}  // namespace

HttpClient::HttpClient(HttpSettings settings, const Clock& clock) {
  static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
  (void)started;
  impl_ = std::make_shared<Impl>(std::move(settings), clock);
}

HttpClient::~HttpClient() = default;

Result<std::unique_ptr<HttpStream>> HttpClient::open(const HttpRequest& request, const Call& call) {
  ARTCACHE_CHECK(check(request));
  ARTCACHE_TRY(auto origin, origin_of(request.url));
  auto session = impl_->take(std::move(origin));
  auto stream = std::make_unique<Stream<Impl>>(impl_, request, std::move(session));
  ARTCACHE_CHECK(stream->until_head(call));
  return std::unique_ptr<HttpStream>(std::move(stream));
}

Result<HttpReply> HttpClient::send(const HttpRequest& request, const Call& call) {
  ARTCACHE_TRY(const auto stream, open(request, call));
  HttpReply reply{stream->head(), {}};
  std::array<std::byte, 16 * 1024> piece{};
  for (;;) {
    ARTCACHE_TRY(const std::size_t size, stream->read(piece, call));
    if (size == 0) return reply;
    if (size > request.most - reply.body.size()) {
      Error error{Errc::corrupt, "http: the answer is longer than " + std::to_string(request.most)};
      if (request.method != "GET") error.outcome = Outcome::unknown;
      return error;
    }
    reply.body.append(reinterpret_cast<const char*>(piece.data()), size);
  }
}

}  // namespace artcache::web
