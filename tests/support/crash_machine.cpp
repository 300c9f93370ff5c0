// SPDX-License-Identifier: Apache-2.0
#include "support/crash_machine.hpp"

#include <algorithm>
#include <random>
#include <span>
#include <stdexcept>
#include <utility>

namespace artcache::test {
namespace {

/// Keeps of one write what the disk happened to finish.
template <class Keep>
void survive(Content& content, const PendingWrite& write, const Keep& keep) {
  if (write.truncates) {
    if (keep()) content.resize(write.offset);
    return;
  }
  const std::size_t end = write.offset + write.bytes.size();
  for (std::size_t from = write.offset; from < end;) {
    const std::size_t to = std::min(end, (from / CrashVfs::kSector + 1) * CrashVfs::kSector);
    if (keep())
      write_at(content, from, std::span(write.bytes).subspan(from - write.offset, to - from));
    from = to;
  }
}

}  // namespace

void write_at(Content& content, std::size_t offset, std::span<const std::uint8_t> bytes) {
  if (content.size() < offset + bytes.size()) content.resize(offset + bytes.size());
  std::copy(bytes.begin(), bytes.end(), content.begin() + static_cast<std::ptrdiff_t>(offset));
}

void CrashFile::sync() {
  // Most syncs follow a few small writes to a long file.
  if (pending.size() * CrashVfs::kSector > now.size()) {
    durable = now;
  } else {
    for (const PendingWrite& done : pending) survive(durable, done, [] { return true; });
  }
  pending.clear();
  durable_name = true;
}

CrashVfs::CrashVfs() : machine_(std::make_unique<Machine>()) {}
CrashVfs::~CrashVfs() = default;

const std::string& CrashVfs::name() const { return machine_->name_; }

std::uint64_t CrashVfs::events() const {
  const std::scoped_lock guard(machine_->mutex_);
  return machine_->events_;
}

void CrashVfs::cut_after(std::uint64_t n) {
  const std::scoped_lock guard(machine_->mutex_);
  machine_->cut_in_ = n;
}

bool CrashVfs::is_cut() const {
  const std::scoped_lock guard(machine_->mutex_);
  return machine_->cut_;
}

void CrashVfs::reboot(std::uint64_t seed) {
  const std::scoped_lock guard(machine_->mutex_);
  std::mt19937_64 random(seed);
  // Some cuts come when nearly all is written, some when nearly nothing is.
  const std::uint64_t percent = seed == 0 ? 0 : seed == 1 ? 100 : random() % 101;
  const auto keep = [&] { return random() % 100 < percent; };

  std::map<std::string, std::shared_ptr<CrashFile>, std::less<>> survivors;
  const auto revive = [&](const std::string& path, const CrashFile& file) {
    if (!file.durable_name && !keep()) return;
    auto next = std::make_shared<CrashFile>();
    next->durable = file.durable;
    for (const PendingWrite& write : file.pending) survive(next->durable, write, keep);
    next->now = next->durable;
    next->durable_name = true;
    survivors[path] = std::move(next);
  };
  // A removal happened, unless the disk had not got round to it.
  for (const auto& [path, file] : machine_->removed_)
    if (!keep()) revive(path, *file);
  for (const auto& [path, file] : machine_->files_) revive(path, *file);
  machine_->files_ = std::move(survivors);
  machine_->removed_.clear();
  machine_->cut_ = false;
  machine_->cut_in_ = machine_->fail_sync_in_ = 0;
  ++machine_->boots_;
}

void CrashVfs::limit_growth(std::int64_t bytes) {
  const std::scoped_lock guard(machine_->mutex_);
  machine_->bytes_most_ = bytes < 0 ? -1 : machine_->bytes() + bytes;
}

void CrashVfs::fail_sync(std::uint64_t n) {
  const std::scoped_lock guard(machine_->mutex_);
  machine_->fail_sync_in_ = n;
}

std::vector<std::uint8_t> CrashVfs::content(std::string_view path) const {
  const std::scoped_lock guard(machine_->mutex_);
  const auto found = machine_->files_.find(path);
  return found == machine_->files_.end() ? std::vector<std::uint8_t>() : found->second->now;
}

void CrashVfs::damage(std::string_view path, std::size_t offset,
                      std::span<const std::uint8_t> bytes) {
  const std::scoped_lock guard(machine_->mutex_);
  const auto found = machine_->files_.find(path);
  if (found == machine_->files_.end()) throw std::invalid_argument("no file " + std::string(path));
  write_at(found->second->now, offset, bytes);
  write_at(found->second->durable, offset, bytes);
}

}  // namespace artcache::test
