// SPDX-License-Identifier: Apache-2.0
// The bytes of a file, passed on as its element sends them.
#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "common/json_read.hpp"
#include "common/read_bounds.hpp"
#include "http/ranges.hpp"
#include "roles/query/query.hpp"

namespace artcache::query {
namespace {

using http::Method;
using http::Problem;
using http::Reply;
using http::Request;

// What the client says to the element, and what the element says to the client.
constexpr std::array<std::pair<std::string_view, std::string_view>, 9> kAnswered{
    {{"etag", "ETag"},
     {"last-modified", "Last-Modified"},
     {"accept-ranges", "Accept-Ranges"},
     {"cache-control", "Cache-Control"},
     {"content-range", "Content-Range"},
     {"content-type", "Content-Type"},
     {"content-disposition", "Content-Disposition"},
     {"x-content-type-options", "X-Content-Type-Options"},
     {"retry-after", "Retry-After"}}};

using Stream = std::unique_ptr<web::HttpStream>;

std::optional<std::uint64_t> length_of(const web::HttpHead& head) {
  const std::string_view text = head.header("content-length");
  std::uint64_t length = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), length);
  if (text.empty() || failed != std::errc() || end != text.data() + text.size())
    return std::nullopt;
  return length;
}

/// Counts the download when it is over, however it ends.
class PassedOn final : public http::BodySource {
 public:
  PassedOn(Stream stream, Metrics& metrics) : stream_(std::move(stream)), metrics_(metrics) {}
  ~PassedOn() override {
    const MetricLabel labels[]{{"result", whole_ ? "ok" : "cut"}};
    metrics_.count("qm_downloads_total", labels, 1);
    metrics_.count("qm_download_bytes_total", {}, static_cast<double>(sent_));
  }
  PassedOn(const PassedOn&) = delete;
  PassedOn& operator=(const PassedOn&) = delete;

  Result<std::size_t> read(std::span<std::byte> into, const Call& call) override {
    auto bytes = stream_->read(into, call);
    if (!bytes) return bytes;
    whole_ = whole_ || *bytes == 0;
    sent_ += *bytes;
    return bytes;
  }
  [[nodiscard]] std::optional<std::uint64_t> length() const override {
    return length_of(stream_->head());
  }

 private:
  const Stream stream_;
  Metrics& metrics_;
  std::uint64_t sent_ = 0;
  bool whole_ = false;
};

/// What went wrong on the way to an element: 503 when it is not there, 504 when it is too slow, 502
/// when it answers what nobody understands.
Problem unreached(const std::string& element, const Error& error) {
  const std::string who = "Storage element " + element;
  if (error.code == Errc::timed_out)
    return {.status = 504, .detail = who + " did not answer in time", .cause = error.message};
  if (error.code == Errc::unavailable || error.code == Errc::cancelled)
    return {.status = 503,
            .detail = who + " is not reachable",
            .headers = {{"Retry-After", "5"}},
            .cause = error.message};
  return {.status = 502, .detail = who + " gave no good answer", .cause = error.message};
}

Problem refused(const std::string& element, const web::HttpHead& head) {
  const std::string who = "Storage element " + element;
  if (head.status == 503 || head.status == 429)
    return {.status = 503,
            .detail = who + " is busy",
            .headers = {{"Retry-After", std::string(head.header("retry-after").empty()
                                                        ? "5"
                                                        : head.header("retry-after"))}}};
  if (head.status == 504) return {.status = 504, .detail = who + " did not answer in time"};
  return {.status = 502, .detail = who + " answered " + std::to_string(head.status)};
}

Result<Stream> ask(Parts& parts, const std::string& url, const Request& request) {
  const Call call = request.call.within(parts.answer_most, *parts.deps.clock);
  for (const bool last : {false, true}) {
    ARTCACHE_TRY(const std::string token, parts.token(call));
    web::HttpRequest wanted{.url = url};
    wanted.headers.emplace_back("Authorization", "Bearer " + token);
    wanted.headers.emplace_back("X-Request-ID", request.call.request_id);
    // As it is stored, so that ranges and lengths mean the same here and there.
    wanted.headers.emplace_back("Accept-Encoding", "identity");
    for (const http::QueryField& asked : http::kDownloadHeaders)
      if (const auto value = request.headers.find(asked.name))
        wanted.headers.emplace_back(asked.name, *value);
    auto stream = parts.http->open(wanted, call);
    if (!stream || (*stream)->head().status != 401 || last) return stream;
    parts.reject_token(token);
  }
  return Error{Errc::internal, "download: no answer"};
}

/// What the file has against the request; in our words, since the element's are not read.
Problem objection(const web::HttpHead& head) {
  if (head.status == 412) return {.status = 412, .detail = "The file is another one by now"};
  return {.status = 416,
          .detail = "The range begins behind the end of the file",
          .headers = {{"Content-Range", std::string(head.header("content-range"))}}};
}

Reply pass_on(Stream stream, Metrics& metrics) {
  const web::HttpHead& head = stream->head();
  if (head.status == 412 || head.status == 416) return objection(head);
  http::Response response{.status = head.status};
  for (const auto& [name, spelled] : kAnswered)
    if (const auto value = head.header(name); !value.empty())
      response.headers.add(std::string(spelled), std::string(value));
  if (head.status == 200 || head.status == 206)
    response.stream = std::make_unique<PassedOn>(std::move(stream), metrics);
  return response;
}

/// What an element answers that has the file: its bytes, a part of them, or what a condition says.
bool is_answer(int status) {
  constexpr std::array kStatuses{200, 206, 304, 412, 416};
  return std::ranges::find(kStatuses, status) != kStatuses.end();
}

/// One element after the other that has a file of this id, the best first.
Reply send(Parts& parts, const FileId& id, std::span<const FoundFile> files, bool verified,
           const Request& request) {
  std::optional<Problem> first;
  for (const FoundFile& file : files) {
    const auto owner = parts.fleet->find(file.element);
    Problem problem;
    if (!owner) {
      problem = {.status = 503,
                 .detail = "Nobody said where storage element " + file.element + " is",
                 .headers = {{"Retry-After", "5"}}};
    } else {
      const std::string url = owner->element().url + "/api/v1/files/" + to_string(id) +
                              "/download" + (verified ? "?verify=1" : "");
      auto stream = ask(parts, url, request);
      if (stream && is_answer((*stream)->head().status))
        return pass_on(std::move(*stream), *parts.deps.metrics);
      if (!stream)
        problem = unreached(file.element, stream.error());
      else if ((*stream)->head().status == 404)
        problem = file_not_found(id);  // it was taken away just now
      else
        problem = refused(file.element, (*stream)->head());
    }
    // That one of two elements does not have it any more says less than that the other is away.
    if (!first || first->status == 404) first = std::move(problem);
  }
  return std::move(*first);
}

Reply download(Parts& parts, const Request& request) {
  auto id = path_id(request);
  if (auto* problem = std::get_if<Problem>(&id)) return std::move(*problem);
  const FileId file = std::get<FileId>(id);
  std::vector<http::FieldProblem> problems;
  const auto verified = query_flag(request.query, "verify", problems);
  if (!problems.empty()) return unprocessable(std::move(problems));
  if (*verified && request.headers.find("range"))
    return unprocessable("query", "verify", "Only a whole file can be verified", "value_error");
  const auto files = parts.database->read(
      request.call, [&](Session& session) { return find_files(session, file); });
  if (!files) return files.error();
  if (files->empty()) return file_not_found(file);
  return send(parts, file, *files, *verified, request);
}

}  // namespace

Result<void> add_download_routes(http::Site& site, Parts& parts) {
  for (const char* pattern : {"/api/v1/files/{id}/download", "/api/download/{id}"})
    ARTCACHE_CHECK(site.add(parts.gate->protect(
        {.method = Method::get,
         .pattern = pattern,
         .handler = bounded(parts, [&parts](Request& request) { return download(parts, request); }),
         .summary = "The bytes of a file, or a range of them",
         .query = kDownloadFields,
         .headers = http::kDownloadHeaders},
        {})));
  return {};
}

}  // namespace artcache::query
