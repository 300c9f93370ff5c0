// SPDX-License-Identifier: Apache-2.0
#include "backends/s3/transfer.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "util/hash.hpp"
#include "util/random.hpp"

namespace artcache::s3 {
namespace {

constexpr std::chrono::milliseconds kPauseFirst{100}, kPauseMost{5000};
constexpr long kConnectMostMs = 10'000;

// Full jitter: clients that failed together do not come back together.
std::chrono::milliseconds pause_after(int attempts) {
  const auto most = std::min(kPauseMost, kPauseFirst * (1 << std::min(attempts, 10)));
  std::array<std::uint8_t, 2> random{};
  util::fill_random(random);
  return most * (1 + random[0] + 256 * random[1]) / 65536;
}

bool may_mend(long status) {
  return status == 500 || status == 502 || status == 503 || status == 504 || status == 429;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && std::strchr(" \t\r\n", text.front()) != nullptr) text.remove_prefix(1);
  while (!text.empty() && std::strchr(" \t\r\n", text.back()) != nullptr) text.remove_suffix(1);
  return text;
}

}  // namespace

Client::Transfer::Transfer(const Client& client, std::size_t index, Request request)
    : client_(client), index_(index), request_(std::move(request)), easy_(curl_easy_init()) {}

Client::Transfer::~Transfer() {
  curl_easy_cleanup(easy_);
  curl_slist_free_all(headers_);
}

bool Client::Transfer::changes_something() const {
  return request_.method != "GET" && request_.method != "HEAD";
}

void Client::Transfer::set_headers(const std::string& path, const std::string& query) {
  const Target& target = client_.target();
  const std::string date = amz_date(client_.clock().now());
  std::string hash;
  util::append_hex(hash, util::sha256(request_.body));
  Headers headers = request_.headers;
  headers.emplace_back("host", target.host);
  headers.emplace_back("x-amz-content-sha256", hash);
  headers.emplace_back("x-amz-date", date);
  if (!target.credentials.token.empty())
    headers.emplace_back("x-amz-security-token", target.credentials.token);
  const std::string proof = authorization({request_.method, path, query, headers, hash},
                                          target.credentials, target.region, date);
  curl_slist_free_all(headers_);
  headers_ = nullptr;
  for (const auto& [name, value] : headers)
    headers_ = curl_slist_append(headers_, (name + ": " + value).c_str());
  if (!target.credentials.access_key.empty())
    headers_ = curl_slist_append(headers_, ("authorization: " + proof).c_str());
  // What curl would add by itself and S3 would take for a wish.
  for (const char* none : {"expect:", "content-type:", "accept:"})
    if (std::none_of(headers.begin(), headers.end(), [&](const auto& header) {
          return std::string_view(none).starts_with(header.first);
        }))
      headers_ = curl_slist_append(headers_, none);
  curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, headers_);
}

void Client::Transfer::set_body() {
  if (request_.method == "HEAD") {
    curl_easy_setopt(easy_, CURLOPT_NOBODY, 1L);
    return;
  }
  if (request_.method == "PUT" || request_.method == "POST") {
    curl_easy_setopt(easy_, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(easy_, CURLOPT_INFILESIZE_LARGE,
                     static_cast<curl_off_t>(request_.body.size()));
    curl_easy_setopt(easy_, CURLOPT_READFUNCTION, &Transfer::on_upload);
    curl_easy_setopt(easy_, CURLOPT_READDATA, this);
    // curl tries again by itself when a kept connection turns out to be closed. What must not be
    // done twice leaves it no way: no seeking back, and no kept connection without a body.
    if (request_.repeat == Repeat::safe) {
      curl_easy_setopt(easy_, CURLOPT_SEEKFUNCTION, &Transfer::on_seek);
      curl_easy_setopt(easy_, CURLOPT_SEEKDATA, this);
    } else if (request_.body.empty()) {
      curl_easy_setopt(easy_, CURLOPT_FRESH_CONNECT, 1L);
    }
  }
  if (request_.method != "GET")
    curl_easy_setopt(easy_, CURLOPT_CUSTOMREQUEST, request_.method.c_str());
}

void Client::Transfer::prepare() {
  const Target& target = client_.target();
  response_ = {};
  sent_ = 0;
  ++attempts_;
  client_.count(request_);
  curl_easy_reset(easy_);
  std::string path = target.base_path + "/" + encode(request_.key, Slash::kept);
  const std::string query = encode(request_.query);
  const std::string url = target.origin + path + (query.empty() ? "" : "?" + query);
  curl_easy_setopt(easy_, CURLOPT_URL, url.c_str());
  // Nothing of the process: no signals, no proxies and accounts of its environment.
  curl_easy_setopt(easy_, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy_, CURLOPT_PROXY, "");
  curl_easy_setopt(easy_, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy_, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(easy_, CURLOPT_PATH_AS_IS, 1L);  // `..` in a key is a name
  if (!target.ca.empty()) curl_easy_setopt(easy_, CURLOPT_CAINFO, target.ca.c_str());
  curl_easy_setopt(easy_, CURLOPT_CONNECTTIMEOUT_MS,
                   std::min(kConnectMostMs, static_cast<long>(target.stall.count())));
#if LIBCURL_VERSION_NUM >= 0x075700
  curl_easy_setopt(easy_, CURLOPT_QUICK_EXIT, 1L);  // a call that ends waits for no name server
#endif
  curl_easy_setopt(easy_, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(easy_, CURLOPT_LOW_SPEED_TIME,
                   std::max(1L, static_cast<long>(target.stall.count() / 1000)));
  curl_easy_setopt(easy_, CURLOPT_WRITEFUNCTION, &Transfer::on_body);
  curl_easy_setopt(easy_, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(easy_, CURLOPT_HEADERFUNCTION, &Transfer::on_header);
  curl_easy_setopt(easy_, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(easy_, CURLOPT_PRIVATE, this);
  set_body();
  set_headers(path, query);
}

std::size_t Client::Transfer::on_body(char* data, std::size_t, std::size_t size, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  if (size > transfer.request_.most - transfer.response_.body.size()) {
    transfer.response_.too_large = true;
    return 0;  // breaks the transfer off
  }
  transfer.response_.body.append(data, size);
  return size;
}

std::size_t Client::Transfer::on_header(char* data, std::size_t, std::size_t size, void* self) {
  Response& response = static_cast<Transfer*>(self)->response_;
  const std::string_view line(data, size);
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return size;
  std::string name(line.substr(0, colon));
  for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  const std::string_view value = trimmed(line.substr(colon + 1));
  if (name == "etag") response.etag = value;
  if (name == "content-range") response.content_range = value;
  if (name == "last-modified") response.last_modified = value;
  if (name == "x-amz-bucket-region") response.bucket_region = value;
  if (name == "content-length") {
    std::uint64_t length = 0;
    const auto parsed = std::from_chars(value.data(), value.data() + value.size(), length);
    if (parsed.ec == std::errc()) response.length = length;
  }
  return size;
}

std::size_t Client::Transfer::on_upload(char* out, std::size_t, std::size_t size, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  const std::string_view rest = transfer.request_.body.substr(transfer.sent_, size);
  std::memcpy(out, rest.data(), rest.size());
  transfer.sent_ += rest.size();
  return rest.size();
}

int Client::Transfer::on_seek(void* self, curl_off_t offset, int origin) {
  auto& transfer = *static_cast<Transfer*>(self);
  if (origin != SEEK_SET || offset < 0 ||
      static_cast<std::size_t>(offset) > transfer.request_.body.size())
    return CURL_SEEKFUNC_FAIL;
  transfer.sent_ = static_cast<std::size_t>(offset);
  return CURL_SEEKFUNC_OK;
}

bool Client::Transfer::repeatable(CURLcode code) const {
  if (attempts_ >= client_.target().attempts_most) return false;
  if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
      code == CURLE_WRITE_ERROR)
    return false;
  if (code == CURLE_OK && !may_mend(response_.status)) return false;
  return request_.repeat == Repeat::safe || !reached_server_;
}

bool Client::Transfer::ended(CURLcode code) {
  code_ = code;
  long request_size = 0;
  curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &response_.status);
  curl_easy_getinfo(easy_, CURLINFO_REQUEST_SIZE, &request_size);
  // SlowDown and its like say that nothing was done; other 5xx do not say.
  const bool refused = code == CURLE_OK && (response_.status == 503 || response_.status == 429);
  if (request_size > 0 && !refused) reached_server_ = true;
  if (response_.too_large) return false;
  if (!repeatable(code)) return false;
  not_before_ = client_.clock().steady() + pause_after(attempts_);
  return true;
}

Error Client::Transfer::failed(Error error) const {
  if (changes_something() && reached_server_) error.outcome = Outcome::unknown;
  return error;
}

Error Client::Transfer::given_up(Error error) const {
  // The attempt on the way now counts as well.
  long request_size = 0;
  curl_easy_getinfo(easy_, CURLINFO_REQUEST_SIZE, &request_size);
  if (changes_something() && request_size > 0) error.outcome = Outcome::unknown;
  return failed(std::move(error));
}

Result<Response> Client::Transfer::result() {
  if (response_.too_large || (code_ == CURLE_OK && !may_mend(response_.status)))
    return std::move(response_);
  if (code_ == CURLE_OK) return failed(error_of(request_, response_, client_.target()));
  std::string cause = curl_easy_strerror(code_);
  if (code_ == CURLE_OPERATION_TIMEDOUT)
    cause = "the server does not answer";
  else if (code_ == CURLE_COULDNT_CONNECT)
    cause = "no connection to the server; does it run, and is `endpoint` right?";
  else if (code_ == CURLE_PEER_FAILED_VERIFICATION)
    cause = "the server's certificate is not trusted; name its authority with `ca`";
  return failed(Error{Errc::unavailable, "s3: " + request_.subject + ": " +
                                             client_.target().origin + ": " + cause + " (" +
                                             std::to_string(attempts_) + " attempts)"});
}

}  // namespace artcache::s3
