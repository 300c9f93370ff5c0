// SPDX-License-Identifier: Apache-2.0
#include "support/faulty_storage.hpp"

#include <algorithm>
#include <utility>

#include "util/try.hpp"

namespace artcache::test {

template <class F>
auto FaultyStorage::run(StorageOp op, std::string_view path, F&& call) -> decltype(call()) {
  const auto order = enter(op, path);
  if (order && order->kind == Kind::fails) return order->error;
  auto result = call();
  if (order && result) return order->error;
  return result;
}

class FaultyReader final : public ByteReader {
 public:
  FaultyReader(FaultyStorage& storage, std::string path, std::unique_ptr<ByteReader> inner)
      : storage_(storage), path_(std::move(path)), inner_(std::move(inner)) {}

  [[nodiscard]] const FileInfo& info() const override { return inner_->info(); }
  Result<std::size_t> read(std::span<std::byte> buffer, const Call& call) override {
    return storage_.run(StorageOp::read, path_, [&] {
      std::size_t most = 0;
      {
        const std::scoped_lock guard(storage_.mutex_);
        most = storage_.read_most_;
      }
      return inner_->read(most == 0 ? buffer : buffer.first(std::min(most, buffer.size())), call);
    });
  }

 private:
  FaultyStorage& storage_;
  const std::string path_;
  const std::unique_ptr<ByteReader> inner_;
};

class FaultyStagedFile final : public StagedFile {
 public:
  FaultyStagedFile(FaultyStorage& storage, std::string path, std::unique_ptr<StagedFile> inner)
      : storage_(storage), path_(std::move(path)), inner_(std::move(inner)) {}

  Result<void> append(std::span<const std::byte> bytes, const Call& call) override {
    return storage_.run(StorageOp::append, path_, [&] {
      bytes_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      return inner_->append(bytes, call);
    });
  }

  Result<Stamp> commit(const Call& call) override {
    const auto order = storage_.enter(StorageOp::commit, path_);
    if (order && order->kind == FaultyStorage::Kind::fails) return order->error;
    if (order && order->kind == FaultyStorage::Kind::torn) {
      inner_.reset();
      const auto half = std::string_view(bytes_).substr(0, bytes_.size() / 2);
      ARTCACHE_CHECK(storage_.inner_.put({path_, PutMode::replace}, half, call));
      return order->error;
    }
    auto result = inner_->commit(call);
    if (order && result) return order->error;
    return result;
  }

 private:
  FaultyStorage& storage_;
  const std::string path_;
  std::unique_ptr<StagedFile> inner_;
  std::string bytes_;
};

FaultyStorage::FaultyStorage(StorageBackend& inner)
    : inner_(inner), capabilities_(inner.capabilities()) {}
FaultyStorage::~FaultyStorage() = default;

void FaultyStorage::add(StorageOp op, Kind kind, std::size_t nth, Error error) {
  const std::scoped_lock guard(mutex_);
  orders_.push_back({op, kind, counts_[static_cast<std::size_t>(op)] + nth, std::move(error)});
}

void FaultyStorage::fail(StorageOp op, Error error, std::size_t nth) {
  add(op, Kind::fails, nth, std::move(error));
}

void FaultyStorage::lose_answer(StorageOp op, Error error, std::size_t nth) {
  error.outcome = Outcome::unknown;
  add(op, Kind::answer_lost, nth, std::move(error));
}

void FaultyStorage::tear_commit(std::size_t nth) {
  add(StorageOp::commit, Kind::torn, nth,
      Error{Errc::unavailable, "faulty: a torn write", Outcome::unknown});
}

void FaultyStorage::shorten_reads(std::size_t bytes_most) {
  const std::scoped_lock guard(mutex_);
  read_most_ = bytes_most;
}

void FaultyStorage::before_each(Hook hook) {
  const std::scoped_lock guard(mutex_);
  hook_ = std::move(hook);
}

std::size_t FaultyStorage::count(StorageOp op) const {
  const std::scoped_lock guard(mutex_);
  return counts_[static_cast<std::size_t>(op)];
}

std::optional<FaultyStorage::Order> FaultyStorage::enter(StorageOp op, std::string_view path) {
  std::optional<Order> order;
  Hook hook;
  {
    const std::scoped_lock guard(mutex_);
    const std::size_t now = ++counts_[static_cast<std::size_t>(op)];
    const auto found = std::ranges::find_if(
        orders_, [&](const Order& each) { return each.op == op && each.at == now; });
    if (found != orders_.end()) {
      order = std::move(*found);
      orders_.erase(found);
    }
    hook = hook_;
  }
  if (hook) hook(op, path);
  return order;
}

std::string FaultyStorage::describe() const { return inner_.describe(); }
void FaultyStorage::hide(std::string_view absolute_path) { inner_.hide(absolute_path); }

Result<void> FaultyStorage::list(const ListRequest& request, const ListSink& sink,
                                 const Call& call) {
  return run(StorageOp::list, request.folder, [&] {
    return inner_.list(
        request,
        [&](const ListBatch& batch) {
          return run(StorageOp::batch, request.folder, [&] { return sink(batch); });
        },
        call);
  });
}

Result<void> FaultyStorage::read_sidecars(std::span<const std::string_view> paths,
                                          std::uint64_t size_most, const SidecarSink& sink,
                                          const Call& call) {
  return run(StorageOp::read_sidecars, {}, [&] {
    return inner_.read_sidecars(
        paths, size_most,
        [&](std::size_t index, Result<SidecarBytes> file) {
          return sink(index,
                      run(StorageOp::sidecar, paths[index], [&] { return std::move(file); }));
        },
        call);
  });
}

Result<std::unique_ptr<ByteReader>> FaultyStorage::open(std::string_view path, ByteRange range,
                                                        const Call& call) {
  return run(StorageOp::open, path, [&]() -> Result<std::unique_ptr<ByteReader>> {
    ARTCACHE_TRY(auto inner, inner_.open(path, range, call));
    return std::unique_ptr<ByteReader>(
        new FaultyReader(*this, std::string(path), std::move(inner)));
  });
}

Result<std::unique_ptr<StagedFile>> FaultyStorage::stage(const PutRequest& request,
                                                         const Call& call) {
  return run(StorageOp::stage, request.path, [&]() -> Result<std::unique_ptr<StagedFile>> {
    ARTCACHE_TRY(auto inner, inner_.stage(request, call));
    return std::unique_ptr<StagedFile>(new FaultyStagedFile(*this, request.path, std::move(inner)));
  });
}

Result<bool> FaultyStorage::remove(std::string_view path, const Call& call) {
  return run(StorageOp::remove, path, [&] { return inner_.remove(path, call); });
}

Result<void> FaultyStorage::sync(std::string_view path, const Call& call) {
  return run(StorageOp::sync, path, [&] { return inner_.sync(path, call); });
}

Result<std::optional<FileInfo>> FaultyStorage::stat(std::string_view path, const Call& call) {
  return run(StorageOp::stat, path, [&] { return inner_.stat(path, call); });
}

Result<StorageCapacity> FaultyStorage::capacity(const Call& call) {
  return run(StorageOp::capacity, {}, [&] { return inner_.capacity(call); });
}

}  // namespace artcache::test
