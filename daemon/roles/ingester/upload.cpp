// SPDX-License-Identifier: Apache-2.0
#include "roles/ingester/upload.hpp"

#include <artcache/json_writer.hpp>
#include <utility>

#include "common/json_read.hpp"
#include "util/try.hpp"

namespace artcache::ingester {
namespace {

using http::Problem;
using http::Reply;

constexpr std::string_view kRetryAfter = "30";
constexpr std::chrono::seconds kLookBack{3};

Problem gone_wrong(int status, std::string detail) {
  Problem problem{.status = status, .detail = std::move(detail)};
  if (status == 503) problem.headers.add("Retry-After", std::string(kRetryAfter));
  return problem;
}

}  // namespace

http::Response none_available(const Error& why) {
  JsonWriter json;
  json.begin_object()
      .member("detail", why.message)
      .member("error_type", "NoAvailableStorageException")
      .member("retry_after", std::int64_t{30})
      .end_object();
  http::Response response = http::json_response(503, std::move(json).str());
  response.headers.add("Retry-After", std::string(kRetryAfter));
  return response;
}

Upload::Upload(Parts& parts, const http::Request& request, UploadForm& form)
    : parts_(parts),
      request_(request),
      form_(form),
      id_(FileId::mint(*parts.deps.clock)),
      begun_(parts.deps.clock->steady()) {}

Reply Upload::run() {
  keeping_ = form_.keeping();
  if (!form_.problems().empty()) return unprocessable(form_.problems());
  for (std::uint32_t i = 0; i < parts_.options.attempts; ++i) {
    const auto element = choose();
    if (!element) {
      count("unavailable");
      parts_.deps.metrics->count("storage_unavailable_total", {}, 1);
      return none_available(element.error());
    }
    if (auto reply = attempt(*element)) return std::move(*reply);
    excluded_.push_back(element->id);
  }
  count("unavailable");
  return none_available({Errc::unavailable, "No storage element took the file: " +
                                                std::to_string(excluded_.size()) + " were tried"});
}

Result<ElementView> Upload::choose() {
  // What is not known exactly is known to be no longer than the whole request.
  const auto length =
      form_.whole() ? form_.front().size() : request_.body->length().value_or(form_.front().size());
  const Wanted wanted{.mode = mode_for(keeping_.retention),
                      .size = length,
                      .excluded = excluded_,
                      .thresholds = parts_.options.thresholds};
  auto chosen = ingester::choose(parts_.elements->now(), wanted);
  if (chosen) return chosen;
  parts_.elements->refresh(request_.call);
  return ingester::choose(parts_.elements->now(), wanted);
}

Result<FormFields> Upload::behind_the_file() {
  if (!form_.whole()) {
    const Retention before = keeping_.retention;
    if (auto read = form_.read_rest(); !read) {
      client_error_ = read.error();
      return std::move(read).error();
    }
    keeping_ = form_.keeping();
    if (form_.problems().empty() && keeping_.retention != before)
      form_.refuse("retention_policy",
                   "The field must stand in front of the file when that is larger than " +
                       std::to_string(parts_.options.spool) + " bytes",
                   "value_error");
  }
  if (!form_.problems().empty() || form_.metadata_broken())
    return Error{Errc::invalid_argument, "upload: a field behind the file is wrong"};
  if (keeping_.ttl_days)
    expires_ = parts_.deps.clock->now() + std::chrono::hours(24 * *keeping_.ttl_days);
  FormFields fields = form_.described(expires_);
  fields.emplace_back("retention_policy", to_string(keeping_.retention));
  if (keeping_.ttl_days) fields.emplace_back("ttl_days", std::to_string(*keeping_.ttl_days));
  return fields;
}

std::optional<Reply> Upload::attempt(const ElementView& element) {
  FormFields before{{"file_id", to_string(id_)}, {"file_id_is_new", "true"}};
  if (request_.identity) {
    before.emplace_back("uploaded_by_id", request_.identity->id);
    before.emplace_back("uploaded_by_username", request_.identity->name);
  }
  FormFile file{
      .filename = form_.filename(), .content_type = form_.content_type(), .front = form_.front()};
  if (form_.whole()) {
    before.emplace_back("file_size", std::to_string(form_.front().size()));
  } else {
    file.rest = [this](std::span<std::byte> into) {
      auto bytes = form_.read_file(into);
      if (!bytes) client_error_ = bytes.error();
      return bytes;
    };
  }
  MultipartBody body(before, std::move(file), [this] { return behind_the_file(); });
  const MetricLabel label[]{{"storage_element_id", element.id}};
  parts_.deps.metrics->count("storage_element_selected_total", label, 1);
  const auto reply = parts_.client->store(element.url, body, request_.call);
  if (!reply) return broken(element, body, reply.error());
  // It has a refused token renewed, once; that is no reason to pass the element over.
  if (reply->head.status == 401 && !body.begun_rest() && !std::exchange(token_renewed_, true))
    return attempt(element);
  if (reply->head.status != 201) return refused(element, body, *reply);
  parts_.elements->note_stored(element.id, body.file_bytes());
  return stored(element, reply->body);
}

std::optional<Reply> Upload::broken(const ElementView& element, const MultipartBody& body,
                                    const Error& error) {
  if (form_.metadata_broken()) return gone_wrong(400, "Invalid JSON in metadata field");
  if (!form_.problems().empty()) return unprocessable(form_.problems());
  if (client_error_) return *client_error_;
  // Then it is the client who has gone, and no fault of the element's.
  const bool stopped = request_.call.stop.stop_requested();
  if (!stopped) parts_.elements->note_dead(element.id);
  if (body.finished() && error.outcome == Outcome::unknown) {
    // It had all of the file: it may have kept it, and only its answer was lost, or nobody waited
    // for that. What nobody was told of must not stay.
    if (!stopped) {
      const auto call = request_.call.within(kLookBack, *parts_.deps.clock);
      const auto found = parts_.client->find(element.url, id_, call);
      if (found && *found) return created(element, **found);
    }
    if (auto noted = doubt(element); !noted) return noted.error();
  }
  if (stopped) return error;
  if (!body.begun_rest()) return std::nullopt;
  count("broken");
  return gone_wrong(502, "Storage element " + element.id +
                             " broke off while it took the file, and keeps nothing of it; "
                             "send it again");
}

std::optional<Reply> Upload::refused(const ElementView& element, const MultipartBody& body,
                                     const web::HttpReply& reply) {
  const int status = reply.head.status;
  const bool wrong_mode = status == 400 && reply.body.find("not allowed in") != std::string::npos;
  if ((status == 400 && !wrong_mode) || status == 413 || status == 422) {
    // What the element says of the file, the client is told as it is.
    count("refused");
    return http::json_response(status, reply.body);
  }
  if (wrong_mode || status >= 500) parts_.elements->note_dead(element.id);
  if (status == 507) parts_.elements->note_stored(element.id, element.available);
  // One that was killed or cut off at its very end may have kept it all the same.
  if (status >= 500 && status != 507 && body.finished())
    if (auto noted = doubt(element); !noted) return noted.error();
  if (!body.begun_rest()) return std::nullopt;
  count("broken");
  if (status == 507)
    return gone_wrong(503, "Storage element " + element.id +
                               " ran out of room while it took the file, and keeps nothing of "
                               "it; send it again");
  return gone_wrong(502, "Storage element " + element.id + " answered " + std::to_string(status) +
                             " while it took the file; send it again");
}

Result<void> Upload::doubt(const ElementView& element) {
  const Cleanup cleanup{.file = id_,
                        .element = element.id,
                        .reason = "an upload that was not acknowledged",
                        .due_at = parts_.deps.clock->now() + parts_.options.doubt};
  // Also when the client has gone.
  auto noted = parts_.database->write(last_word(parts_.deps),
                                      [&](db::Session& s) { return add_cleanup(s, cleanup); });
  if (noted) return noted;
  const std::string file = to_string(id_), cause = to_string(noted.error());
  const LogField fields[]{{"file_id", std::string_view(file)},
                          {"element", std::string_view(element.id)},
                          {"cause", std::string_view(cause)}};
  parts_.deps.logger->log({.level = LogLevel::error,
                           .logger = "ingester",
                           .message = "A copy that may have been kept cannot be noted for removal",
                           .fields = fields,
                           .request_id = request_.call.request_id});
  return noted;
}

Reply Upload::stored(const ElementView& element, const std::string& json) {
  auto facts = parse_file_facts(json);
  if (!facts) {
    count("broken");
    return gone_wrong(502, "Storage element " + element.id + " took the file, but says not how");
  }
  return created(element, *facts);
}

Reply Upload::created(const ElementView& element, const FileFacts& facts) {
  count("success");
  const std::chrono::duration<double> took = parts_.deps.clock->steady() - begun_;
  parts_.deps.metrics->observe("ingester_upload_duration_seconds", {}, took.count());
  parts_.deps.metrics->count("ingester_upload_bytes_total", {}, static_cast<double>(facts.size));
  JsonWriter json;
  json.begin_object()
      .member("file_id", to_string(id_))
      .member("original_filename", facts.original_filename)
      .member("storage_filename", facts.storage_filename)
      .member("storage_path", facts.storage_path)
      .member("file_size", facts.size)
      .member("content_type", facts.content_type)
      .member("compressed", false);
  json.key("compression_ratio").null();
  json.member("checksum", facts.checksum)
      .member("uploaded_at", facts.created_at)
      .member("storage_element_id", element.id)
      .member("storage_element_url", element.url)
      .member("retention_policy", to_string(keeping_.retention))
      .key("ttl_expires_at");
  if (expires_)
    json.value(to_string(*expires_));
  else
    json.null();
  json.member("message", "File uploaded successfully").end_object();
  return http::json_response(201, std::move(json).str());
}

void Upload::count(std::string_view status) {
  const MetricLabel label[]{{"status", status}};
  parts_.deps.metrics->count("ingester_upload_total", label, 1);
}

}  // namespace artcache::ingester
