// SPDX-License-Identifier: Apache-2.0
#include "backends/s3/reading.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "util/try.hpp"

namespace artcache::s3 {
namespace {

/// What one GET brings: a connection that breaks costs no more than this, a reader holds no more.
constexpr std::uint64_t kBlock = 4U << 20;

std::string subject(std::string_view operation, std::string_view path) {
  return std::string(operation) + " '" + std::string(path) + "'";
}

/// Reads block after block, each only while the file is the one that was opened.
class S3Reader final : public ByteReader {
 public:
  S3Reader(std::shared_ptr<Client> client, std::string key, std::string path, ByteRange range)
      : client_(std::move(client)), key_(std::move(key)), path_(std::move(path)), range_(range) {}

  [[nodiscard]] const FileInfo& info() const override { return info_; }

  Result<void> begin(const Call& call) {
    if (range_.length != 0) {
      ARTCACHE_TRY(Response first, fetch(range_.offset, range_.length, call));
      if (first.status == 200 || first.status == 206) {
        ARTCACHE_TRY(info_, info_of(first, path_));
        return begin_with(std::move(first));
      }
      if (first.status != 416) return error_of(request_, first, client_->target());
    }
    // Nothing can be read from there; the file may be empty, or shorter.
    ARTCACHE_TRY(const auto found, find_info(*client_, key_, path_, call));
    if (!found) return failed(Errc::not_found, "there is no such file");
    info_ = *found;
    return check_begin();
  }

  Result<std::size_t> read(std::span<std::byte> buffer, const Call& call) override {
    ARTCACHE_CHECK(call.check("s3: read", client_->clock()));
    if (buffer.empty() || (used_ == block_.size() && left_ == 0)) return std::size_t{0};
    if (used_ == block_.size()) ARTCACHE_CHECK(next_block(call));
    const std::size_t size = std::min(buffer.size(), block_.size() - used_);
    std::memcpy(buffer.data(), block_.data() + used_, size);
    used_ += size;
    return size;
  }

 private:
  [[nodiscard]] Error failed(Errc code, std::string_view cause) const {
    return Error{code, "s3: " + subject("read", path_) + ": " + std::string(cause)};
  }

  Result<Response> fetch(std::uint64_t offset, std::uint64_t length, const Call& call) {
    request_ = {};
    request_.subject = subject("read", path_);
    request_.key = key_;
    const std::uint64_t size = std::min(length, kBlock);
    request_.headers = {
        {"range", "bytes=" + std::to_string(offset) + "-" + std::to_string(offset + size - 1)}};
    if (!etag_.empty()) request_.headers.emplace_back("if-match", etag_);
    request_.most = kBlock;
    return client_->send(request_, call);
  }

  Result<void> check_begin() {
    if (range_.offset > info_.stamp.size)
      return failed(Errc::invalid_argument, "the range begins at " + std::to_string(range_.offset) +
                                                ", beyond the end at " +
                                                std::to_string(info_.stamp.size));
    return {};
  }

  Result<void> begin_with(Response first) {
    ARTCACHE_CHECK(check_begin());
    etag_ = std::move(first.etag);
    const std::uint64_t all = std::min(range_.length, info_.stamp.size - range_.offset);
    next_ = range_.offset;
    left_ = all;
    return take(std::move(first));
  }

  Result<void> next_block(const Call& call) {
    ARTCACHE_TRY(Response block, fetch(next_, left_, call));
    if (block.status == 412 || block.status == 404)
      return failed(Errc::corrupt, "it was replaced or removed meanwhile; open it again");
    return take(std::move(block));
  }

  Result<void> take(Response block) {
    if (block.status >= 300) return error_of(request_, block, client_->target());
    const std::uint64_t expected = std::min(left_, kBlock);
    // A server that knows no ranges sends the whole file from its beginning.
    if (block.status == 200 && (next_ != 0 || block.too_large))
      return failed(Errc::unsupported, "the server knows no ranges");
    if (block.body.size() < expected || block.too_large)
      return failed(Errc::corrupt, "it ends before its size");
    block_ = std::move(block.body);
    block_.resize(static_cast<std::size_t>(expected));
    used_ = 0;
    next_ += expected;
    left_ -= expected;
    return {};
  }

  const std::shared_ptr<Client> client_;
  const std::string key_, path_;
  const ByteRange range_;
  Request request_;
  FileInfo info_;
  std::string etag_, block_;
  std::size_t used_ = 0;
  std::uint64_t next_ = 0, left_ = 0;
};

Result<SidecarBytes> sidecar_of(const Request& request, const Response& response,
                                std::string_view path, std::uint64_t size_most,
                                const Target& target) {
  if (response.status != 200 && response.status != 206) return error_of(request, response, target);
  if (response.too_large || response.body.size() > size_most)
    return Error{Errc::invalid_argument, "s3: " + request.subject + ": is larger than " +
                                             std::to_string(size_most) + " bytes"};
  ARTCACHE_TRY(const FileInfo info, info_of(response, path));
  return SidecarBytes{response.body, info.stamp, info.modified};
}

}  // namespace

Result<std::unique_ptr<ByteReader>> open_reader(std::shared_ptr<Client> client, std::string key,
                                                std::string path, ByteRange range,
                                                const Call& call) {
  auto reader =
      std::make_unique<S3Reader>(std::move(client), std::move(key), std::move(path), range);
  ARTCACHE_CHECK(reader->begin(call));
  return std::unique_ptr<ByteReader>(std::move(reader));
}

Result<void> read_small(Client& client, const std::string& prefix,
                        std::span<const std::string_view> paths, std::uint64_t size_most,
                        const SidecarSink& sink, const Call& call) {
  std::vector<std::size_t> good;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    if (auto checked = check_storage_path(paths[i]); !checked) {
      ARTCACHE_CHECK(sink(i, std::move(checked).error()));
    } else {
      good.push_back(i);
    }
  }
  const auto make = [&](std::size_t n) {
    Request request;
    request.subject = subject("read", paths[good[n]]);
    request.key = prefix + std::string(paths[good[n]]);
    // Room for the text of an error too.
    request.most = static_cast<std::size_t>(std::max<std::uint64_t>(size_most, 4096));
    return request;
  };
  return client.send_many(
      good.size(), make,
      [&](std::size_t n, Result<Response> response) -> Result<void> {
        if (!response) return sink(good[n], std::move(response).error());
        return sink(good[n],
                    sidecar_of(make(n), *response, paths[good[n]], size_most, client.target()));
      },
      call);
}

Result<std::optional<FileInfo>> find_info(Client& client, const std::string& key,
                                          std::string_view path, const Call& call) {
  Request request;
  request.method = "HEAD";
  request.subject = subject("stat", path);
  request.key = key;
  ARTCACHE_TRY(const Response response, client.send(request, call));
  if (response.status == 404) return std::optional<FileInfo>();
  if (response.status != 200) return error_of(request, response, client.target());
  ARTCACHE_TRY(const FileInfo info, info_of(response, path));
  return std::optional(info);
}

}  // namespace artcache::s3
