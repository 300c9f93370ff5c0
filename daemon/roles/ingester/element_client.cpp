// SPDX-License-Identifier: Apache-2.0
#include "roles/ingester/element_client.hpp"

#include <artcache/json_writer.hpp>
#include <utility>

#include "common/json_read.hpp"
#include "util/try.hpp"

namespace artcache::ingester {
namespace {

Error strange(int status) {
  return {Errc::unavailable, "the element answers " + std::to_string(status)};
}

Error edited(const std::string& element) {
  return {Errc::busy, "it was edited at " + element + " just now"};
}

std::string file_url(const std::string& element, const FileId& id) {
  return element + "/api/v1/files/" + to_string(id);
}

}  // namespace

Error refusal(std::string_view who, const web::HttpReply& reply) {
  const int status = reply.head.status;
  const bool passes = status < 400 || status >= 500 || status == 401 || status == 408 ||
                      status == 409 || status == 429;
  return {
      passes ? Errc::unavailable : Errc::invalid_argument,
      std::string(who) + " answers " + std::to_string(status) + ": " + reply.body.substr(0, 300)};
}

Result<FileFacts> parse_file_facts(std::string_view json) {
  JsonObject said{std::string(json)};
  const auto take = [&](std::string_view name) { return said.text(name).value_or(""); };
  FileFacts out;
  out.original_filename = take("original_filename");
  out.storage_filename = take("storage_filename");
  out.storage_path = take("storage_path");
  out.content_type = take("content_type");
  out.checksum = take("checksum");
  out.created_at = take("created_at");
  out.updated_at = take("updated_at");
  out.created_by_id = take("created_by_id");
  out.created_by_username = take("created_by_username");
  out.created_by_fullname = take("created_by_fullname");
  const auto size = said.number("file_size");
  if (!said.problems().empty() || out.checksum.empty() || !size || *size < 0)
    return Error{Errc::corrupt, "element: what it says of a file is not whole"};
  out.size = static_cast<std::uint64_t>(*size);
  out.said = read_editable(said);
  return out;
}

Result<web::HttpReply> ElementClient::send(web::HttpRequest request, const Call& call) {
  for (int round = 0;; ++round) {
    ARTCACHE_TRY(const std::string token, token_.get(call));
    web::HttpRequest asked = request;
    asked.headers.emplace_back("Authorization", "Bearer " + token);
    ARTCACHE_TRY(auto reply, http_.send(asked, call));
    if (reply.head.status != 401) return reply;
    token_.reject(token);
    if (round > 0) return Error{Errc::unavailable, "the element believes no token of the admin"};
  }
}

Result<web::HttpReply> ElementClient::store(const std::string& element, MultipartBody& body,
                                            const Call& call) {
  ARTCACHE_TRY(const std::string token, token_.get(call));
  web::HttpRequest request{.method = "POST", .url = element + "/api/v1/files/upload"};
  request.headers.emplace_back("Authorization", "Bearer " + token);
  request.headers.emplace_back("Content-Type", body.content_type());
  if (!call.request_id.empty()) request.headers.emplace_back("X-Request-ID", call.request_id);
  if (body.whole()) {
    ARTCACHE_TRY(request.body, body.read_all());
  } else {
    request.source = [&body](std::span<std::byte> into) { return body.read(into); };
  }
  ARTCACHE_TRY(auto reply, http_.send(request, call));
  if (reply.head.status == 401) token_.reject(token);
  return reply;
}

Result<std::optional<FileFacts>> ElementClient::find(const std::string& element, const FileId& id,
                                                     const Call& call) {
  ARTCACHE_TRY(auto reply, send({.url = file_url(element, id)}, call));
  if (reply.head.status == 404) return std::optional<FileFacts>();
  if (reply.head.status != 200) return strange(reply.head.status);
  ARTCACHE_TRY(FileFacts facts, parse_file_facts(reply.body));
  facts.tag = reply.head.header("etag");
  return std::optional(std::move(facts));
}

Result<bool> ElementClient::has_bytes(const std::string& element, const FileId& id,
                                      std::uint64_t size, const Call& call) {
  if (size == 0) return true;
  ARTCACHE_TRY(const std::string token, token_.get(call));
  web::HttpRequest request{.url = file_url(element, id) + "/download"};
  request.headers.emplace_back("Authorization", "Bearer " + token);
  request.headers.emplace_back("Range", "bytes=" + std::to_string(size - 1) + "-");
  // Not taken whole: an element that knows no ranges sends all of it.
  ARTCACHE_TRY(const auto stream, http_.open(request, call));
  const int status = stream->head().status;
  if (status == 401) token_.reject(token);
  if (status == 404) return false;
  if (status != 200 && status != 206) return strange(status);
  std::byte byte{};
  ARTCACHE_TRY(const std::size_t read, stream->read(std::span(&byte, 1), call));
  return read > 0;
}

Result<std::unique_ptr<web::HttpStream>> ElementClient::download(const std::string& element,
                                                                 const FileId& id,
                                                                 const Call& call) {
  ARTCACHE_TRY(const std::string token, token_.get(call));
  web::HttpRequest request{.url = file_url(element, id) + "/download"};
  request.headers.emplace_back("Authorization", "Bearer " + token);
  ARTCACHE_TRY(auto stream, http_.open(request, call));
  const int status = stream->head().status;
  if (status == 200) return stream;
  if (status == 401) token_.reject(token);
  if (status == 404) return Error{Errc::not_found, "the element has no such file"};
  return strange(status);
}

Result<void> ElementClient::change(const std::string& element, const FileId& id,
                                   const std::string& json, const std::string& seen,
                                   const Call& call) {
  web::HttpRequest request{.method = "PATCH", .url = file_url(element, id), .body = json};
  request.headers.emplace_back("Content-Type", "application/json");
  if (!seen.empty()) request.headers.emplace_back("If-Match", seen);
  ARTCACHE_TRY(const auto reply, send(std::move(request), call));
  if (reply.head.status == 412) return edited(element);
  if (reply.head.status == 404) return Error{Errc::not_found, "the element has no such file"};
  if (reply.head.status != 200) return refusal("the element", reply);
  return {};
}

Result<void> ElementClient::collect(const std::string& element, const FileId& id,
                                    std::string_view reason, const std::string& seen,
                                    const Call& call) {
  web::HttpRequest request{.method = "DELETE", .url = element + "/api/v1/gc/" + to_string(id)};
  request.headers.emplace_back("Content-Type", "application/json");
  if (!seen.empty()) request.headers.emplace_back("If-Match", seen);
  JsonWriter json;
  json.begin_object().member("reason", reason).member("cleanup_type", "ingester").end_object();
  request.body = std::move(json).str();
  ARTCACHE_TRY(const auto reply, send(std::move(request), call));
  if (reply.head.status == 412) return edited(element);
  if (reply.head.status != 200) return refusal("the element", reply);
  return {};
}

}  // namespace artcache::ingester
