// SPDX-License-Identifier: Apache-2.0
#include "backends/http/log_source.hpp"

#include <artcache/log_frames.hpp>

#include <algorithm>
#include <array>

#include "util/json_scan.hpp"
#include "util/try.hpp"
#include "web/http_client.hpp"

namespace artcache::http_log {
namespace {

using frames::Frame;
using frames::Kind;

constexpr std::chrono::milliseconds kWaitMost{25'000};  // of one long poll
constexpr std::chrono::milliseconds kStall{60'000};
constexpr std::size_t kErrorMost = 64 * 1024;
constexpr std::size_t kRecordsAtOnce = 1000;  // handed on of a snapshot

/// The member `detail` of the body of a refusal.
std::string detail_of(std::string_view body) {
  util::JsonScanner scanner(body);
  util::JsonValue key, value;
  if (scanner.enter_object())
    while (scanner.next_member(key, value))
      if (key.spelled() == "detail" && value.kind == util::JsonKind::string)
        return std::string(value.spelled());
  return {};
}

Errc errc_of(int status) {
  switch (status) {
    case 410:
      return Errc::gone;
    case 408:
    case 425:
    case 429:
    case 500:
    case 502:
    case 503:
    case 504:
      return Errc::unavailable;
    default:
      return status >= 400 && status < 500 ? Errc::invalid_argument : Errc::corrupt;
  }
}

class HttpSource final : public LogSource {
 public:
  HttpSource(std::string base, std::string ca, HttpLogSettings settings, const Deps& deps)
      : base_(std::move(base)),
        settings_(std::move(settings)),
        client_({.ca = std::move(ca)}, *deps.clock) {}

  [[nodiscard]] std::string name() const override { return base_; }

  Result<IndexHead> head(const Call& call) override {
    IndexHead head;
    ARTCACHE_TRY(const Position unused, ask(
                                            {"/head"}, call,
                                            [&](const Frame& frame) -> Result<void> {
                                              ARTCACHE_TRY(head, frames::parse_head(frame.body));
                                              return {};
                                            },
                                            Kind::head));
    static_cast<void>(unused);
    return head;
  }

  Result<LogSlice> read_after(const Position& position, std::uint32_t limit,
                              std::chrono::nanoseconds patience, const Call& call) override {
    LogSlice slice;
    const auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::clamp<std::chrono::nanoseconds>(patience, std::chrono::nanoseconds(0), kWaitMost));
    const std::string target = "/rows?after=" + to_string(position) +
                               "&limit=" + std::to_string(limit) +
                               "&wait_ms=" + std::to_string(wait.count());
    const auto take = [&](const Frame& frame) -> Result<void> {
      if (frame.kind == Kind::head) {
        ARTCACHE_TRY(slice.head, frames::parse_head(frame.body));
      } else if (frame.kind == Kind::row && slice.rows.size() < limit) {
        ARTCACHE_TRY(auto row, frames::parse_row(frame.body));
        slice.rows.push_back(std::move(row));
      } else {
        return strange();
      }
      return {};
    };
    // A link that lets nothing through any more is noticed as soon as it should have.
    ARTCACHE_CHECK(ask({target, nullptr, wait + kAnswerMost}, call, take));
    return slice;
  }

  Result<Position> snapshot(const RecordSink& sink, const Call& call) override {
    std::vector<Record> batch;
    const auto hand_on = [&]() -> Result<void> {
      ARTCACHE_CHECK(batch.empty() ? Result<void>() : sink(batch));
      batch.clear();
      return {};
    };
    ARTCACHE_TRY(const Position position,
                 ask({"/snapshot"}, call, [&](const Frame& frame) -> Result<void> {
                   if (frame.kind != Kind::record) return strange();
                   ARTCACHE_TRY(auto record, frames::parse_record(frame.body));
                   batch.push_back(std::move(record));
                   return batch.size() < kRecordsAtOnce ? Result<void>() : hand_on();
                 }));
    ARTCACHE_CHECK(hand_on());
    return position;
  }

  Result<std::vector<BucketDigest>> bucket_digests(unsigned bits, Position* position,
                                                   const Call& call) override {
    return digests(bits, {}, position, call);
  }
  Result<std::vector<BucketDigest>> some_digests(unsigned bits,
                                                 std::span<const std::uint32_t> wanted,
                                                 const Call& call) override {
    if (wanted.empty()) return std::vector<BucketDigest>();
    ARTCACHE_TRY(auto some, digests(bits, wanted, nullptr, call));
    if (some.size() != wanted.size()) return strange();
    return some;
  }

  Result<void> keys(unsigned bits, std::span<const std::uint32_t> buckets, const KeySink& sink,
                    const Call& call) override {
    const std::string body = frames::buckets_text(buckets);
    ARTCACHE_CHECK(ask({"/keys?bits=" + std::to_string(bits), &body}, call,
                       [&](const Frame& frame) -> Result<void> {
                         if (frame.kind != Kind::keys) return strange();
                         ARTCACHE_TRY(const auto keys, frames::parse_keys(frame.body));
                         return sink(keys);
                       }));
    return {};
  }

  Result<std::vector<std::optional<Record>>> records(std::span<const std::string> keys,
                                                     const Call& call) override {
    std::vector<std::optional<Record>> found;
    const std::string body = frames::key_list(keys);
    ARTCACHE_CHECK(ask({"/records", &body}, call, [&](const Frame& frame) -> Result<void> {
      if (frame.kind != Kind::record && frame.kind != Kind::absent) return strange();
      if (found.size() == keys.size()) return strange();
      auto& one = found.emplace_back();
      if (frame.kind == Kind::absent) return {};
      ARTCACHE_TRY(one, frames::parse_record(frame.body));
      return {};
    }));
    if (found.size() != keys.size()) return strange();
    return found;
  }

 private:
  using FrameSink = std::function<Result<void>(const Frame&)>;
  struct Question {
    std::string target;                 ///< behind "/api/v1/log"
    const std::string* body = nullptr;  ///< of a POST
    std::chrono::milliseconds stall = kStall;
  };

  [[nodiscard]] Error strange() const {
    return Error{Errc::corrupt, "log: " + base_ + " answers something else than was asked"};
  }

  Result<std::vector<BucketDigest>> digests(unsigned bits, std::span<const std::uint32_t> wanted,
                                            Position* position, const Call& call) {
    std::vector<BucketDigest> found;
    const std::string body = frames::buckets_text(wanted);
    ARTCACHE_CHECK(ask({"/digests?bits=" + std::to_string(bits), &body}, call,
                       [&](const Frame& frame) -> Result<void> {
                         if (frame.kind != Kind::digests) return strange();
                         ARTCACHE_TRY(auto all, frames::parse_digests(frame.body));
                         if (position != nullptr) *position = all.first;
                         found = std::move(all.second);
                         return {};
                       }));
    return found;
  }

  /// Hands on every frame of the answer but the end, which it returns. `only`: nothing else may be
  /// there.
  Result<Position> ask(const Question& question, const Call& call, const FrameSink& sink,
                       std::optional<Kind> only = {}) {
    auto position = ask_once(question, call, sink, only, OnRefusal::new_token);
    if (!position) return std::move(position).error();
    if (!*position) position = ask_once(question, call, sink, only, OnRefusal::fail);
    if (!position) return std::move(position).error();
    return **position;
  }
  enum class OnRefusal : std::uint8_t { new_token, fail };

  /// Nothing where the token was refused and there may be another one; then nothing was handed on.
  Result<std::optional<Position>> ask_once(const Question& question, const Call& call,
                                           const FrameSink& sink, std::optional<Kind> only,
                                           OnRefusal on_refusal) {
    web::HttpRequest request;
    request.url = base_ + "/api/v1/log" + question.target;
    request.stall = question.stall;
    if (question.body != nullptr) {
      request.method = "POST";
      request.body = *question.body;
      request.headers.emplace_back("Content-Type", frames::kContentType);
    }
    std::string token;
    if (settings_.token) {
      ARTCACHE_TRY(token, settings_.token(call));
      request.headers.emplace_back("Authorization", "Bearer " + token);
    }
    int status = 0;
    auto position = take(request, call, sink, only, status);
    if (status == 401 && settings_.token && settings_.reject) {
      settings_.reject(token);
      if (on_refusal == OnRefusal::new_token) return std::optional<Position>();
    }
    // Nothing was to be changed: that it is unknown says nothing.
    if (!position) {
      Error error = std::move(position).error();
      error.outcome = Outcome::not_applied;
      return error;
    }
    return std::optional(*position);
  }

  Result<Position> take(const web::HttpRequest& request, const Call& call, const FrameSink& sink,
                        std::optional<Kind> only, int& status) {
    ARTCACHE_TRY(const auto stream, client_.open(request, call));
    status = stream->head().status;
    if (status != 200) return refusal(*stream, call);
    if (stream->head().header("content-type") != frames::kContentType) return strange();
    frames::Reader reader;
    std::vector<std::byte> piece(64 * 1024);
    std::optional<Position> end;
    for (;;) {
      ARTCACHE_TRY(const std::size_t size, stream->read(piece, call));
      if (size == 0) break;
      reader.add({reinterpret_cast<const char*>(piece.data()), size});
      for (;;) {
        ARTCACHE_TRY(const auto frame, reader.next());
        if (!frame) break;
        if (end || (only && frame->kind != *only && frame->kind != Kind::end)) return strange();
        if (frame->kind == Kind::end) {
          ARTCACHE_TRY(end, frames::parse_end(frame->body));
        } else {
          ARTCACHE_CHECK(sink(*frame));
        }
      }
    }
    if (!end || reader.inside())
      return Error{Errc::unavailable, "log: the answer of " + base_ + " is not whole"};
    return *end;
  }

  Error refusal(web::HttpStream& stream, const Call& call) const {
    std::string body;
    std::array<std::byte, 4096> piece{};
    while (body.size() < kErrorMost) {
      const auto size = stream.read(piece, call);
      if (!size || *size == 0) break;
      body.append(reinterpret_cast<const char*>(piece.data()), *size);
    }
    const int status = stream.head().status;
    const std::string detail = detail_of(body);
    return Error{errc_of(status),
                 "log: " + base_ + ": " +
                     (detail.empty() ? "answers with a status of " : detail + ", ") +
                     std::to_string(status)};
  }

  const std::string base_;  // "http://host:8010"
  const HttpLogSettings settings_;
  web::HttpClient client_;
};

}  // namespace

Result<std::unique_ptr<LogSource>> open(const HttpLogSettings& settings, const Deps& deps) {
  ARTCACHE_TRY(const Url url, Url::parse(settings.url));
  if (url.scheme() != "http" && url.scheme() != "https")
    return Error{Errc::invalid_argument, "log: '" + url.redacted() + "' is no address of HTTP"};
  ARTCACHE_CHECK(url.expect_only({"ca"}));
  if (url.hosts().size() != 1 || !url.user().empty())
    return Error{Errc::invalid_argument,
                 "log: '" + url.redacted() + "': one host, and no account, is what can be asked"};
  std::string base(settings.url.substr(0, settings.url.find('?')));
  while (base.ends_with('/')) base.pop_back();
  return std::unique_ptr<LogSource>(std::make_unique<HttpSource>(
      std::move(base), url.parameter("ca").value_or(""), settings, deps));
}

}  // namespace artcache::http_log
