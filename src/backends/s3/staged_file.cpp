// SPDX-License-Identifier: Apache-2.0
#include "backends/s3/staged_file.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "backends/s3/reading.hpp"
#include "backends/s3/xml.hpp"
#include "util/try.hpp"

namespace artcache::s3 {
namespace {

constexpr std::size_t kPartsMost = 10'000;
/// Parts double after so many, so that a file of unknown size never runs out of numbers.
constexpr std::size_t kPartsBeforeDoubling = 2'000;
/// A destructor has no Call: what it may take to give an upload up.
constexpr std::chrono::seconds kAbortMost{5};

class S3StagedFile final : public StagedFile {
 public:
  S3StagedFile(std::shared_ptr<Client> client, std::string key, PutRequest request,
               std::size_t part_size, Exclusive exclusive)
      : client_(std::move(client)),
        key_(std::move(key)),
        request_(std::move(request)),
        part_size_(part_size),
        exclusive_(exclusive) {
    if (request_.size)
      part_size_ = std::max(part_size_, static_cast<std::size_t>(*request_.size / 9'000));
  }
  ~S3StagedFile() override {
    if (!upload_.empty()) abort_upload();
  }
  S3StagedFile(const S3StagedFile&) = delete;
  S3StagedFile& operator=(const S3StagedFile&) = delete;

  Result<void> append(std::span<const std::byte> bytes, const Call& call) override {
    auto result = try_append(bytes, call);
    if (!result) finished_ = true;
    return result;
  }

  Result<Stamp> commit(const Call& call) override {
    if (std::exchange(finished_, true)) return refused("commit after the end");
    ARTCACHE_CHECK(call.check("s3: put", client_->clock()));
    if (request_.size && total_ != *request_.size)
      return refused("only " + std::to_string(total_) + " of " + std::to_string(*request_.size) +
                     " announced bytes came");
    // Servers that decide about whole objects may not do so about parts (radosgw 16 does not).
    if (must_be_new() && (exclusive_ == Exclusive::by_look || !upload_.empty())) {
      ARTCACHE_TRY(const auto found, find_info(*client_, key_, request_.path, call));
      if (found) return refused("exists already", Errc::conflict);
    }
    return upload_.empty() ? put_whole(call) : complete(call);
  }

 private:
  [[nodiscard]] bool must_be_new() const { return request_.mode == PutMode::must_not_exist; }
  [[nodiscard]] Error refused(std::string_view cause, Errc code = Errc::invalid_argument) const {
    return Error{code, "s3: put '" + request_.path + "': " + std::string(cause)};
  }
  [[nodiscard]] std::size_t part_target() const {
    return request_.size ? part_size_ : part_size_ << (etags_.size() / kPartsBeforeDoubling);
  }

  [[nodiscard]] Request make(std::string method, Query query, std::string_view body) const {
    Request request;
    request.method = std::move(method);
    request.subject = "put '" + request_.path + "'";
    request.key = key_;
    request.query = std::move(query);
    request.body = body;
    return request;
  }
  void make_exclusive(Request& request) const {
    if (is_sidecar_path(request_.path))
      request.headers.emplace_back("content-type", "application/json");
    if (!must_be_new() || exclusive_ == Exclusive::by_look) return;
    request.headers.emplace_back("if-none-match", "*");
    // Repeated, it would meet its own first success and call it a conflict.
    request.repeat = Repeat::refused;
  }

  Result<void> try_append(std::span<const std::byte> bytes, const Call& call) {
    if (finished_) return refused("append after the end");
    ARTCACHE_CHECK(call.check("s3: put", client_->clock()));
    if (request_.size && bytes.size() > *request_.size - total_)
      return refused("more bytes came than were announced");
    total_ += bytes.size();
    while (!bytes.empty()) {
      // Only with a byte beyond it is it clear that a part is not the whole file.
      if (buffer_.size() == part_target()) ARTCACHE_CHECK(send_part(call));
      const std::size_t size = std::min(bytes.size(), part_target() - buffer_.size());
      buffer_.append(reinterpret_cast<const char*>(bytes.data()), size);
      bytes = bytes.subspan(size);
    }
    return {};
  }

  Result<void> send_part(const Call& call) {
    if (upload_.empty()) ARTCACHE_CHECK(begin_upload(call));
    if (etags_.size() == kPartsMost) return refused("is larger than S3 can take");
    const Request request = make(
        "PUT", {{"partNumber", std::to_string(etags_.size() + 1)}, {"uploadId", upload_}}, buffer_);
    auto response = client_->send(request, call);
    // No part shows anywhere: whatever became of it, the path holds what it held.
    if (!response) return not_applied(std::move(response).error());
    if (response->status != 200) return error_of(request, *response, client_->target());
    etags_.push_back(std::move(response->etag));
    buffer_.clear();
    return {};
  }

  Result<void> begin_upload(const Call& call) {
    Request request = make("POST", {{"uploads", ""}}, {});
    if (is_sidecar_path(request_.path))
      request.headers.emplace_back("content-type", "application/json");
    auto response = client_->send(request, call);
    if (!response) return not_applied(std::move(response).error());
    if (response->status != 200) return error_of(request, *response, client_->target());
    ARTCACHE_TRY(upload_, parse_value(response->body, "InitiateMultipartUploadResult", "UploadId"));
    return {};
  }

  static Error not_applied(Error error) {
    error.outcome = Outcome::not_applied;
    return error;
  }

  Result<Stamp> put_whole(const Call& call) {
    Request request = make("PUT", {}, buffer_);
    make_exclusive(request);
    ARTCACHE_TRY(const Response response, client_->send(request, call));
    if (response.status != 200) return error_of(request, response, client_->target());
    return make_stamp(total_, response.etag);
  }

  Result<Stamp> complete(const Call& call) {
    if (!buffer_.empty()) ARTCACHE_CHECK(send_part(call));
    std::string body = "<CompleteMultipartUpload>";
    for (std::size_t i = 0; i < etags_.size(); ++i)
      body += "<Part><PartNumber>" + std::to_string(i + 1) + "</PartNumber><ETag>" +
              escape_xml(etags_[i]) + "</ETag></Part>";
    body += "</CompleteMultipartUpload>";
    Request request = make("POST", {{"uploadId", upload_}}, body);
    make_exclusive(request);
    request.repeat = Repeat::refused;  // the second would find no upload and not know why
    ARTCACHE_TRY(const Response response, client_->send(request, call));
    if (response.status != 200) return error_of(request, response, client_->target());
    // It can begin with 200 and end in an error.
    const auto key = parse_value(response.body, "CompleteMultipartUploadResult", "Key");
    if (!key) {
      Error error{Errc::unavailable, key.error().message, Outcome::unknown};
      const ServerError said = parse_error(response.body);
      if (!said.code.empty())
        error.message = refused("the server failed at the end: " + said.code.substr(0, 64)).message;
      return error;
    }
    upload_.clear();
    return stamp_of_whole(response.body, call);
  }

  /// Radosgw 16 does not tell the ETag in its answer. The file is there in any case, so a look that
  /// fails makes its stamp unsettled and no error.
  Stamp stamp_of_whole(std::string_view answer, const Call& call) const {
    if (const auto etag = parse_value(answer, "CompleteMultipartUploadResult", "ETag"))
      return make_stamp(total_, *etag);
    const auto found = find_info(*client_, key_, request_.path, call);
    if (found && *found && (*found)->stamp.size == total_) return (*found)->stamp;
    return make_stamp(total_, {});
  }

  void abort_upload() {
    Request request = make("DELETE", {{"uploadId", upload_}}, {});
    // What is left of a server that does not answer is for the bucket's own rule to remove.
    (void)client_->send(request, Call{}.within(kAbortMost, client_->clock()));
  }

  const std::shared_ptr<Client> client_;
  const std::string key_;
  const PutRequest request_;
  std::size_t part_size_;
  const Exclusive exclusive_;
  std::string buffer_, upload_;
  std::vector<std::string> etags_;
  std::uint64_t total_ = 0;
  bool finished_ = false;
};

}  // namespace

std::unique_ptr<StagedFile> make_staged(std::shared_ptr<Client> client, std::string key,
                                        PutRequest request, std::size_t part_size,
                                        Exclusive exclusive) {
  return std::make_unique<S3StagedFile>(std::move(client), std::move(key), std::move(request),
                                        part_size, exclusive);
}

}  // namespace artcache::s3
