// SPDX-License-Identifier: Apache-2.0
#include "backends/s3/storage.hpp"

#include <utility>

#include "backends/s3/listing.hpp"
#include "backends/s3/place.hpp"
#include "backends/s3/reading.hpp"
#include "backends/s3/staged_file.hpp"
#include "util/try.hpp"

namespace artcache::s3 {
namespace {

/// A request that was sent whole is carried out whoever waits for its answer. Servers that take
/// longer for one have answered 503 or cut the connection before.
constexpr std::chrono::seconds kLateWrites{30};

class S3Storage final : public StorageBackend {
 public:
  S3Storage(Options options, std::shared_ptr<Client> client, Exclusive exclusive)
      : options_(std::move(options)), client_(std::move(client)), exclusive_(exclusive) {
    capabilities_.exclusive_put = exclusive == Exclusive::by_server;
    capabilities_.folders = false;
    capabilities_.reports_capacity = false;
    capabilities_.hidden_names = false;  // no file of this machine lies in here
    capabilities_.late_writes = kLateWrites;
  }

  [[nodiscard]] std::string describe() const override { return options_.description; }
  [[nodiscard]] const StorageCapabilities& capabilities() const override { return capabilities_; }
  void hide(std::string_view) override {}

  Result<void> list(const ListRequest& request, const ListSink& sink, const Call& call) override {
    if (!request.folder.empty()) ARTCACHE_CHECK(check_storage_path(request.folder));
    return list_objects(*client_, options_.prefix, request, sink, call);
  }
  Result<void> read_sidecars(std::span<const std::string_view> paths, std::uint64_t size_most,
                             const SidecarSink& sink, const Call& call) override {
    ARTCACHE_CHECK(call.check("s3: read", client_->clock()));
    return read_small(*client_, options_.prefix, paths, size_most, sink, call);
  }
  Result<std::unique_ptr<ByteReader>> open(std::string_view path, ByteRange range,
                                           const Call& call) override {
    ARTCACHE_CHECK(begin("s3: open", path, call));
    return open_reader(client_, key(path), std::string(path), range, call);
  }
  Result<std::unique_ptr<StagedFile>> stage(const PutRequest& request, const Call& call) override {
    ARTCACHE_CHECK(begin("s3: put", request.path, call));
    if (request.mode == PutMode::must_not_exist) {
      ARTCACHE_TRY(const auto found, find_info(*client_, key(request.path), request.path, call));
      if (found) return Error{Errc::conflict, "s3: put '" + request.path + "': exists already"};
    }
    return make_staged(client_, key(request.path), request, options_.part_size, exclusive_);
  }
  Result<bool> remove(std::string_view path, const Call& call) override;
  Result<std::optional<FileInfo>> stat(std::string_view path, const Call& call) override {
    ARTCACHE_CHECK(begin("s3: stat", path, call));
    return find_info(*client_, key(path), path, call);
  }
  Result<StorageCapacity> capacity(const Call& call) override {
    ARTCACHE_CHECK(call.check("s3: capacity", client_->clock()));
    return Error{Errc::unsupported, "s3: capacity: buckets do not tell"};
  }

 private:
  [[nodiscard]] std::string key(std::string_view path) const {
    return options_.prefix + std::string(path);
  }
  Result<void> begin(std::string_view operation, std::string_view path, const Call& call) const {
    ARTCACHE_CHECK(check_storage_path(path));
    return call.check(operation, client_->clock());
  }

  const Options options_;
  const std::shared_ptr<Client> client_;  // readers and staged files may outlive the storage
  const Exclusive exclusive_;
  StorageCapabilities capabilities_;
};

Result<bool> S3Storage::remove(std::string_view path, const Call& call) {
  ARTCACHE_CHECK(begin("s3: remove", path, call));
  // DELETE succeeds either way; only a look before it can tell whether there was a file.
  ARTCACHE_TRY(const auto found, find_info(*client_, key(path), path, call));
  if (!found) return false;
  Request request;
  request.method = "DELETE";
  request.subject = "remove '" + std::string(path) + "'";
  request.key = key(path);
  ARTCACHE_TRY(const Response response, client_->send(request, call));
  if (response.status == 404) return false;
  if (response.status >= 300) return error_of(request, response, client_->target());
  return true;
}

/// Puts the same object twice: only a server that honours the condition refuses the second. Who
/// may not write gets an answer too: it is never needed.
Result<Exclusive> find_out(Client& client, const std::string& prefix, const Call& call) {
  Request request;
  request.method = "PUT";
  request.subject = "put '.artcache/conditional-put'";
  request.key = prefix + ".artcache/conditional-put";
  request.headers = {{"if-none-match", "*"}};
  for (int i = 0; i < 2; ++i) {
    ARTCACHE_TRY(const Response response, client.send(request, call));
    if (response.status == 412 || response.status == 409) return Exclusive::by_server;
    if (response.status != 200) return Exclusive::by_look;
  }
  return Exclusive::by_look;
}

}  // namespace

Result<std::unique_ptr<StorageBackend>> open_storage(const Url& url, const Deps& deps,
                                                     const Call& call) {
  ARTCACHE_TRY(Options options, parse_address(url));
  auto client = std::make_shared<Client>(options.target, *deps.clock, *deps.metrics);
  ARTCACHE_CHECK(check_bucket(*client, options.prefix, call));
  Exclusive exclusive =
      options.conditional == Conditional::on ? Exclusive::by_server : Exclusive::by_look;
  if (options.conditional == Conditional::found_out) {
    ARTCACHE_TRY(exclusive, find_out(*client, options.prefix, call));
  }
  return std::unique_ptr<StorageBackend>(
      new S3Storage(std::move(options), std::move(client), exclusive));
}

}  // namespace artcache::s3
