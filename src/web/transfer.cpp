// SPDX-License-Identifier: Apache-2.0
#include "web/transfer.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

#include "util/try.hpp"

namespace artcache::web {
namespace {

constexpr std::size_t kWaitingMost = 256 * 1024;
constexpr std::chrono::milliseconds kPollMost{1000};
// A little more than the pieces of 256 KiB in which bodies come, so that each goes out in one.
constexpr long kUploadBuffer = 288L * 1024;

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && std::strchr(" \t\r\n", text.front()) != nullptr) text.remove_prefix(1);
  while (!text.empty() && std::strchr(" \t\r\n", text.back()) != nullptr) text.remove_suffix(1);
  return text;
}

// Of "HTTP/1.1 200 OK".
int status_of(std::string_view line) {
  const std::size_t blank = line.find(' ');
  int status = 0;
  if (blank != std::string_view::npos)
    std::from_chars(line.data() + blank + 1, line.data() + line.size(), status);
  return status;
}

// For messages: accounts and queries may be secret.
std::string public_part(std::string_view url) {
  url = url.substr(0, url.find_first_of("?#"));
  const std::size_t host = url.find("://") + 3;
  const std::size_t at = url.substr(0, url.find('/', host)).rfind('@');
  std::string text(url.substr(0, host));
  return text.append(url.substr(at == std::string_view::npos ? host : at + 1));
}

bool is_repeatable(std::string_view method) { return method != "POST" && method != "PATCH"; }

}  // namespace

Result<std::string> origin_of(std::string_view url) {
  const bool http = url.starts_with("http://"), https = url.starts_with("https://");
  const bool printable =
      std::all_of(url.begin(), url.end(), [](char c) { return c > ' ' && c < '\x7f'; });
  const std::size_t host = http ? 7 : 8;
  const std::size_t end = std::min(url.find_first_of("/?#", host), url.size());
  if ((!http && !https) || !printable || end == host)
    return Error{Errc::invalid_argument, "http: no URL of http or https"};
  return std::string(url.substr(0, end));
}

Transfer::Transfer(TransferSettings settings, const Clock& clock, HttpRequest request,
                   std::unique_ptr<Session> session)
    : settings_(std::move(settings.client)),
      authorities_(std::move(settings.authorities)),
      clock_(clock),
      request_(std::move(request)),
      session_(std::move(session)),
      easy_(curl_easy_init()) {
  set_connection();
  set_headers();
  set_body();
  curl_multi_add_handle(session_->multi, easy_);
}

Transfer::~Transfer() {
  if (session_ != nullptr) curl_multi_remove_handle(session_->multi, easy_);
  curl_easy_cleanup(easy_);
  curl_slist_free_all(headers_);
}

void Transfer::set_connection() {
  curl_easy_setopt(easy_, CURLOPT_URL, request_.url.c_str());
  curl_easy_setopt(easy_, CURLOPT_ERRORBUFFER, said_.data());
  // Nothing of the process: no signals, no proxies and accounts of its environment.
  curl_easy_setopt(easy_, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy_, CURLOPT_PROXY, "");
  curl_easy_setopt(easy_, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy_, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(easy_, CURLOPT_PATH_AS_IS, 1L);
  set_authorities();
  curl_easy_setopt(easy_, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(settings_.connect_most.count()));
#if LIBCURL_VERSION_NUM >= 0x075700
  curl_easy_setopt(easy_, CURLOPT_QUICK_EXIT, 1L);  // a call that ends waits for no name server
#endif
  curl_easy_setopt(easy_, CURLOPT_HEADERFUNCTION, &Transfer::on_header);
  curl_easy_setopt(easy_, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(easy_, CURLOPT_WRITEFUNCTION, &Transfer::on_body);
  curl_easy_setopt(easy_, CURLOPT_WRITEDATA, this);
}

/// libcurl goes on with no connection that was made with others.
void Transfer::set_authorities() {
  if (settings_.ca.empty()) return;
  // The folder of the system would be trusted beside them.
  curl_easy_setopt(easy_, CURLOPT_CAPATH, nullptr);
  curl_easy_setopt(easy_, CURLOPT_CAINFO, settings_.ca.c_str());
  if (!authorities_) return;
  curl_blob pem{};
  pem.data = const_cast<char*>(authorities_->data());
  pem.len = authorities_->size();
  pem.flags = CURL_BLOB_NOCOPY;
  curl_easy_setopt(easy_, CURLOPT_CAINFO_BLOB, &pem);
}

void Transfer::set_headers() {
  // What curl would add by itself: waiting for "100 Continue" costs a second with older servers.
  headers_ = curl_slist_append(headers_, "expect:");
  if (std::ranges::none_of(request_.headers, [](const auto& header) {
        return curl_strequal(header.first.c_str(), "content-type") != 0;
      }))
    headers_ = curl_slist_append(headers_, "content-type:");
  for (const auto& [name, value] : request_.headers)
    headers_ =
        curl_slist_append(headers_, (value.empty() ? name + ";" : name + ": " + value).c_str());
  curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, headers_);
}

void Transfer::set_body() {
  const bool repeatable = is_repeatable(request_.method);
  const bool has_body = request_.source != nullptr || !request_.body.empty() ||
                        request_.method == "PUT" || !repeatable;
  if (request_.method == "HEAD") {
    curl_easy_setopt(easy_, CURLOPT_NOBODY, 1L);
    return;
  }
  if (request_.source != nullptr) {
    const auto length = request_.source_length;
    curl_easy_setopt(easy_, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(easy_, CURLOPT_INFILESIZE_LARGE,
                     length ? static_cast<curl_off_t>(*length) : curl_off_t{-1});
    curl_easy_setopt(easy_, CURLOPT_READFUNCTION, &Transfer::on_upload);
    curl_easy_setopt(easy_, CURLOPT_READDATA, this);
    curl_easy_setopt(easy_, CURLOPT_UPLOAD_BUFFERSIZE, kUploadBuffer);
  } else if (has_body) {
    // Of what is there as a whole, the beginning goes out together with the head.
    curl_easy_setopt(easy_, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request_.body.size()));
    curl_easy_setopt(easy_, CURLOPT_POSTFIELDS, request_.body.data());
  }
  // curl tries again by itself when a kept connection turns out to be closed.
  if (!repeatable) {
    curl_easy_setopt(easy_, CURLOPT_PREREQFUNCTION, &Transfer::on_begin);
    curl_easy_setopt(easy_, CURLOPT_PREREQDATA, this);
  }
  if (request_.method != "GET" || has_body)
    curl_easy_setopt(easy_, CURLOPT_CUSTOMREQUEST, request_.method.c_str());
}

int Transfer::on_begin(void* self, char*, char*, int, int) {
  const bool again = std::exchange(static_cast<Transfer*>(self)->begun_, true);
  return again ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

std::size_t Transfer::on_header(char* data, std::size_t, std::size_t size, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  transfer.moved_ += size;
  if (transfer.head_done_) return size;  // trailers
  const std::string_view line = trimmed({data, size});
  if (line.empty()) {
    // "100 Continue" and its like come before the answer.
    transfer.head_done_ = transfer.head_.status >= 200;
    return size;
  }
  const std::size_t colon = line.find(':');
  if (line.starts_with("HTTP/")) {
    transfer.head_ = {status_of(line), {}};
  } else if (colon != std::string_view::npos) {
    std::string name(line.substr(0, colon));
    for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    transfer.head_.headers.emplace_back(std::move(name), trimmed(line.substr(colon + 1)));
  }
  return size;
}

std::size_t Transfer::on_body(char* data, std::size_t, std::size_t size, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  if (transfer.waiting_.size() - transfer.waiting_at_ + size > kWaitingMost) {
    transfer.paused_ = true;
    return CURL_WRITEFUNC_PAUSE;
  }
  transfer.moved_ += size;
  transfer.waiting_.erase(0, transfer.waiting_at_);
  transfer.waiting_at_ = 0;
  transfer.waiting_.append(data, size);
  return size;
}

std::size_t Transfer::on_upload(char* out, std::size_t, std::size_t size, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  const std::size_t filled = transfer.fill({reinterpret_cast<std::byte*>(out), size});
  if (filled != CURL_READFUNC_ABORT) {
    transfer.sent_ += filled;
    transfer.moved_ += std::max<std::size_t>(filled, 1);
  }
  return filled;
}

std::size_t Transfer::fill(std::span<std::byte> out) {
  if (request_.source_length)
    out = out.first(std::min<std::uint64_t>(out.size(), *request_.source_length - sent_));
  if (out.empty()) return 0;
  const Result<std::size_t> filled = request_.source(out);
  if (filled && (*filled > 0 || !request_.source_length)) return *filled;
  source_error_ = filled ? Error{Errc::invalid_argument, "http: the body is shorter than told"}
                         : filled.error();
  return CURL_READFUNC_ABORT;
}

bool Transfer::changes_something() const {
  return request_.method != "GET" && request_.method != "HEAD";
}

Error Transfer::failed(Errc code, const std::string& cause) const {
  Error error{code, "http: " + request_.method + " " + public_part(request_.url) + ": " + cause};
  long request_size = 0;
  curl_easy_getinfo(easy_, CURLINFO_REQUEST_SIZE, &request_size);
  if (changes_something() && request_size > 0) error.outcome = Outcome::unknown;
  return error;
}

Error Transfer::broken() const {
  if (source_error_) {
    Error error = failed(source_error_->code, source_error_->message);
    error.message = source_error_->message;
    return error;
  }
  std::string cause = code_ == CURLE_ABORTED_BY_CALLBACK ? "the server closed the connection"
                      : said_.front() != '\0'            ? said_.data()
                                                         : curl_easy_strerror(code_);
  Errc errc = Errc::unavailable;
  if (code_ == CURLE_URL_MALFORMAT) errc = Errc::invalid_argument;
  // The scheme was looked at: here it is an answer in a protocol that is none.
  if (code_ == CURLE_UNSUPPORTED_PROTOCOL || code_ == CURLE_WEIRD_SERVER_REPLY)
    errc = Errc::corrupt;
  if (code_ == CURLE_PEER_FAILED_VERIFICATION)
    cause = "the server's certificate is not trusted; name its authority with `ca`";
  return failed(errc, cause);
}

std::uint64_t Transfer::uploaded() const {
  curl_off_t bytes = 0;
  curl_easy_getinfo(easy_, CURLINFO_SIZE_UPLOAD_T, &bytes);
  return static_cast<std::uint64_t>(bytes);
}

void Transfer::take_end() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(session_->multi, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    code_ = message->data.result;
    ended_ = true;
  }
}

Result<void> Transfer::wait(const Call& call) {
  std::chrono::nanoseconds most = kPollMost;
  most = std::min({most, call.remaining(clock_),
                   std::chrono::nanoseconds(moved_at_ + stall() - clock_.steady())});
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(most).count();
  CURLM* const multi = session_->multi;
  const std::stop_callback wake(call.stop, [multi] { curl_multi_wakeup(multi); });
  curl_multi_poll(multi, nullptr, 0, static_cast<int>(std::max<std::int64_t>(ms, 0)), nullptr);
  return {};
}

// Moves what can be moved at once, else waits for something to happen.
Result<void> Transfer::advance(const Call& call) {
  if (auto going = call.check("http", clock_); !going)
    return failed(going.error().code,
                  going.error().code == Errc::cancelled ? "stopped" : "the deadline passed");
  const std::uint64_t before = moved_ + uploaded();
  int running = 0;
  curl_multi_perform(session_->multi, &running);
  take_end();
  if (ended_) return {};
  const auto now = clock_.steady();
  if (moved_ + uploaded() != before) {
    moved_at_ = now;
    return {};
  }
  if (now - moved_at_ >= stall())
    return failed(Errc::unavailable, "nothing came or went for too long");
  return wait(call);
}

Result<void> Transfer::until_head(const Call& call) {
  moved_at_ = clock_.steady();
  while (!head_done_ && !ended_) ARTCACHE_CHECK(advance(call));
  if (!head_done_) {
    if (code_ == CURLE_OK) return failed(Errc::corrupt, "the answer has no head");
    return broken();
  }
  return {};
}

Result<std::size_t> Transfer::read(std::span<std::byte> into, const Call& call) {
  if (into.empty()) return std::size_t{0};
  moved_at_ = clock_.steady();
  for (;;) {
    const std::size_t size = std::min(into.size(), waiting_.size() - waiting_at_);
    if (size > 0) {
      std::memcpy(into.data(), waiting_.data() + waiting_at_, size);
      waiting_at_ += size;
      return size;
    }
    if (ended_ && code_ != CURLE_OK) return broken();
    if (ended_) return std::size_t{0};
    if (paused_) {
      paused_ = false;
      curl_easy_pause(easy_, CURLPAUSE_CONT);
    }
    ARTCACHE_CHECK(advance(call));
  }
}

std::unique_ptr<Session> Transfer::take_session() {
  if (!ended_ || code_ != CURLE_OK) return nullptr;
  curl_multi_remove_handle(session_->multi, easy_);
  return std::move(session_);
}

}  // namespace artcache::web
