// SPDX-License-Identifier: Apache-2.0
#include "support/crash_vfs.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>
#include <stdexcept>
#include <utility>

#include "support/crash_machine.hpp"

namespace artcache::test {
namespace {

using Machine = CrashVfs::Machine;

/// What SQLite holds of an open file; it allocates and never destroys it.
struct Handle {
  sqlite3_file base;
  Machine* machine;
  std::shared_ptr<CrashFile>* file;
  std::uint64_t boot;
  int lock;
  std::uint16_t shared, exclusive;  ///< bits of the wal-index locks held
};

Handle& handle_of(sqlite3_file* file) { return *reinterpret_cast<Handle*>(file); }

bool is_dead(const Handle& handle) {
  return handle.machine->cut_ || handle.boot != handle.machine->boots_;
}

int unlock_to(Handle& handle, int level) {
  CrashFile& file = **handle.file;
  if (handle.lock >= SQLITE_LOCK_SHARED && level < SQLITE_LOCK_SHARED) --file.readers;
  if (file.reserved == &handle) file.reserved = nullptr;
  if (file.pending_lock == &handle) file.pending_lock = nullptr;
  if (file.exclusive == &handle) file.exclusive = nullptr;
  handle.lock = std::min(handle.lock, level);
  return SQLITE_OK;
}

int read(sqlite3_file* raw, void* out, int size, sqlite3_int64 offset) {
  Handle& handle = handle_of(raw);
  const std::scoped_lock guard(handle.machine->mutex_);
  if (is_dead(handle)) return SQLITE_IOERR_READ;
  const Content& now = (*handle.file)->now;
  const auto from = std::min(static_cast<std::size_t>(offset), now.size());
  const auto most = std::min(static_cast<std::size_t>(size), now.size() - from);
  auto* bytes = static_cast<std::uint8_t*>(out);
  std::copy_n(now.begin() + static_cast<std::ptrdiff_t>(from), most, bytes);
  std::fill(bytes + most, bytes + size, std::uint8_t{0});
  return most == static_cast<std::size_t>(size) ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

int write(sqlite3_file* raw, const void* data, int size, sqlite3_int64 offset) {
  Handle& handle = handle_of(raw);
  Machine& machine = *handle.machine;
  const std::scoped_lock guard(machine.mutex_);
  if (is_dead(handle)) return SQLITE_IOERR_WRITE;
  CrashFile& file = **handle.file;
  const std::span bytes(static_cast<const std::uint8_t*>(data), static_cast<std::size_t>(size));
  const auto at = static_cast<std::size_t>(offset);
  const std::size_t end = at + bytes.size();
  if (machine.bytes_most_ >= 0 && end > file.now.size() &&
      machine.bytes() + static_cast<std::int64_t>(end - file.now.size()) > machine.bytes_most_)
    return SQLITE_FULL;
  // The write during which the power fails is on its way to the disk like those before it.
  const bool done = machine.happens();
  file.pending.push_back({at, Content(bytes.begin(), bytes.end()), false});
  if (!done) return SQLITE_IOERR_WRITE;
  write_at(file.now, at, bytes);
  return SQLITE_OK;
}

int truncate(sqlite3_file* raw, sqlite3_int64 size) {
  Handle& handle = handle_of(raw);
  const std::scoped_lock guard(handle.machine->mutex_);
  if (is_dead(handle)) return SQLITE_IOERR_TRUNCATE;
  CrashFile& file = **handle.file;
  const bool done = handle.machine->happens();
  file.pending.push_back({static_cast<std::size_t>(size), {}, true});
  if (!done) return SQLITE_IOERR_TRUNCATE;
  file.now.resize(static_cast<std::size_t>(size));
  return SQLITE_OK;
}

int sync(sqlite3_file* raw, int) {
  Handle& handle = handle_of(raw);
  Machine& machine = *handle.machine;
  const std::scoped_lock guard(machine.mutex_);
  if (is_dead(handle) || !machine.happens()) return SQLITE_IOERR_FSYNC;
  if (machine.fail_sync_in_ > 0 && --machine.fail_sync_in_ == 0) return SQLITE_IOERR_FSYNC;
  CrashFile& file = **handle.file;
  file.sync();
  return SQLITE_OK;
}

int file_size(sqlite3_file* raw, sqlite3_int64* size) {
  Handle& handle = handle_of(raw);
  const std::scoped_lock guard(handle.machine->mutex_);
  if (is_dead(handle)) return SQLITE_IOERR_FSTAT;
  *size = static_cast<sqlite3_int64>((*handle.file)->now.size());
  return SQLITE_OK;
}

int lock(sqlite3_file* raw, int level) {
  Handle& handle = handle_of(raw);
  const std::scoped_lock guard(handle.machine->mutex_);
  if (is_dead(handle)) return SQLITE_IOERR_LOCK;
  if (handle.lock >= level) return SQLITE_OK;
  CrashFile& file = **handle.file;
  const auto taken = [&](const void* holder) { return holder != nullptr && holder != &handle; };
  if (level == SQLITE_LOCK_SHARED) {
    if (taken(file.pending_lock) || taken(file.exclusive)) return SQLITE_BUSY;
    ++file.readers;
  } else if (level == SQLITE_LOCK_RESERVED) {
    if (taken(file.reserved)) return SQLITE_BUSY;
    file.reserved = &handle;
  } else {
    if (taken(file.reserved) || taken(file.pending_lock)) return SQLITE_BUSY;
    file.pending_lock = &handle;
    if (file.readers > 1) return SQLITE_BUSY;
    file.exclusive = &handle;
  }
  handle.lock = level;
  return SQLITE_OK;
}

int unlock(sqlite3_file* raw, int level) {
  Handle& handle = handle_of(raw);
  const std::scoped_lock guard(handle.machine->mutex_);
  return unlock_to(handle, level);
}

int check_reserved(sqlite3_file* raw, int* held) {
  Handle& handle = handle_of(raw);
  const std::scoped_lock guard(handle.machine->mutex_);
  if (is_dead(handle)) return SQLITE_IOERR_CHECKRESERVEDLOCK;
  *held = (*handle.file)->reserved != nullptr ? 1 : 0;
  return SQLITE_OK;
}

int file_control(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
int sector_size(sqlite3_file*) { return 4096; }  // what SQLite says of every disk under unix
int characteristics(sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

int map_shared(sqlite3_file* raw, int region, int size, int extend, void volatile** out) {
  Handle& handle = handle_of(raw);
  const std::scoped_lock guard(handle.machine->mutex_);
  *out = nullptr;
  if (is_dead(handle)) return SQLITE_IOERR_SHMMAP;
  auto& regions = (*handle.file)->shared_memory;
  const auto index = static_cast<std::size_t>(region);
  if (index >= regions.size() && extend == 0) return SQLITE_OK;
  while (index >= regions.size())
    regions.push_back(std::make_unique<Content>(static_cast<std::size_t>(size)));
  *out = regions[index]->data();
  return SQLITE_OK;
}

int lock_shared(sqlite3_file* raw, int first, int count, int flags) {
  Handle& handle = handle_of(raw);
  const std::scoped_lock guard(handle.machine->mutex_);
  auto& locks = (*handle.file)->shared_locks;
  const bool frees = (flags & SQLITE_SHM_UNLOCK) != 0;
  const bool alone = (flags & SQLITE_SHM_EXCLUSIVE) != 0;
  if (!frees && is_dead(handle)) return SQLITE_IOERR_SHMLOCK;
  const auto mask = static_cast<std::uint16_t>(((1U << count) - 1) << first);
  std::uint16_t& held = alone ? handle.exclusive : handle.shared;
  if (!frees && (held & mask) == mask) return SQLITE_OK;
  for (int i = first; !frees && i < first + count; ++i) {
    const int state = locks[static_cast<std::size_t>(i)];
    if (alone ? state != 0 : state < 0) return SQLITE_BUSY;
  }
  for (int i = first; i < first + count; ++i) {
    int& state = locks[static_cast<std::size_t>(i)];
    const bool mine = (held & (1U << i)) != 0;
    if (frees && mine) state = alone ? 0 : state - 1;
    if (!frees) state = alone ? -1 : state + 1;
  }
  held = static_cast<std::uint16_t>(frees ? held & ~mask : held | mask);
  return SQLITE_OK;
}

// Taking and giving the mutex orders memory, which is all a barrier is for.
void barrier(sqlite3_file* raw) { const std::scoped_lock guard(handle_of(raw).machine->mutex_); }

int unmap_shared(sqlite3_file* raw, int erase) {
  Handle& handle = handle_of(raw);
  lock_shared(raw, 0, SQLITE_SHM_NLOCK, SQLITE_SHM_UNLOCK | SQLITE_SHM_SHARED);
  lock_shared(raw, 0, SQLITE_SHM_NLOCK, SQLITE_SHM_UNLOCK | SQLITE_SHM_EXCLUSIVE);
  const std::scoped_lock guard(handle.machine->mutex_);
  if (erase != 0) (*handle.file)->shared_memory.clear();
  return SQLITE_OK;
}

int close(sqlite3_file* raw) {
  Handle& handle = handle_of(raw);
  const std::scoped_lock guard(handle.machine->mutex_);
  unlock_to(handle, SQLITE_LOCK_NONE);
  delete handle.file;
  return SQLITE_OK;
}

const sqlite3_io_methods kMethods = {2,
                                     close,
                                     read,
                                     write,
                                     truncate,
                                     sync,
                                     file_size,
                                     lock,
                                     unlock,
                                     check_reserved,
                                     file_control,
                                     sector_size,
                                     characteristics,
                                     map_shared,
                                     lock_shared,
                                     barrier,
                                     unmap_shared,
                                     nullptr,
                                     nullptr};

Machine& machine_of(sqlite3_vfs* vfs) { return *static_cast<Machine*>(vfs->pAppData); }

int open(sqlite3_vfs* vfs, const char* path, sqlite3_file* raw, int flags, int* out_flags) {
  Machine& machine = machine_of(vfs);
  const std::scoped_lock guard(machine.mutex_);
  raw->pMethods = nullptr;
  if (machine.cut_) return SQLITE_IOERR;
  const std::string name =
      path != nullptr ? path : "temporary-" + std::to_string(++machine.nameless_);
  auto found = machine.files_.find(name);
  if (found == machine.files_.end()) {
    if ((flags & SQLITE_OPEN_CREATE) == 0) return SQLITE_CANTOPEN;
    found = machine.files_.emplace(name, std::make_shared<CrashFile>()).first;
    // The same name again: what a removal has not made durable can come back under it.
    const auto removed = machine.removed_.find(name);
    if (removed != machine.removed_.end()) {
      found->second->durable = removed->second->durable;
      found->second->durable_name = removed->second->durable_name;
      found->second->pending = std::move(removed->second->pending);
      found->second->pending.push_back({0, {}, true});
      machine.removed_.erase(removed);
    }
  }
  new (raw) Handle{{&kMethods},
                   &machine,
                   new std::shared_ptr<CrashFile>(found->second),
                   machine.boots_,
                   SQLITE_LOCK_NONE,
                   0,
                   0};
  if (path == nullptr) machine.files_.erase(found);
  if (out_flags != nullptr) *out_flags = flags;
  return SQLITE_OK;
}

int remove(sqlite3_vfs* vfs, const char* path, int durably) {
  Machine& machine = machine_of(vfs);
  const std::scoped_lock guard(machine.mutex_);
  if (machine.cut_) return SQLITE_IOERR_DELETE;
  const auto found = machine.files_.find(std::string_view(path));
  if (found == machine.files_.end()) return SQLITE_IOERR_DELETE_NOENT;
  const bool done = machine.happens();
  if (!done) return SQLITE_IOERR_DELETE;
  if (durably == 0) machine.removed_[path] = found->second;
  machine.files_.erase(found);
  return SQLITE_OK;
}

int access(sqlite3_vfs* vfs, const char* path, int, int* result) {
  Machine& machine = machine_of(vfs);
  const std::scoped_lock guard(machine.mutex_);
  if (machine.cut_) return SQLITE_IOERR_ACCESS;
  *result = machine.files_.find(std::string_view(path)) != machine.files_.end() ? 1 : 0;
  return SQLITE_OK;
}

int full_path(sqlite3_vfs*, const char* path, int size, char* out) {
  const std::string_view name(path);
  if (name.size() + 1 > static_cast<std::size_t>(size)) return SQLITE_CANTOPEN;
  std::memcpy(out, path, name.size() + 1);
  return SQLITE_OK;
}

int randomness(sqlite3_vfs* vfs, int size, char* out) {
  sqlite3_vfs* const system = machine_of(vfs).system_;
  return system->xRandomness(system, size, out);
}

int sleep(sqlite3_vfs* vfs, int micros) {
  sqlite3_vfs* const system = machine_of(vfs).system_;
  return system->xSleep(system, micros);
}

int current_time(sqlite3_vfs* vfs, double* now) {
  sqlite3_vfs* const system = machine_of(vfs).system_;
  return system->xCurrentTime(system, now);
}

int last_error(sqlite3_vfs*, int, char*) { return 0; }

}  // namespace

CrashVfs::Machine::Machine() {
  static std::atomic<int> count{0};
  name_ = "crash-" + std::to_string(++count);
  vfs_.iVersion = 1;
  vfs_.szOsFile = sizeof(Handle);
  vfs_.mxPathname = 512;
  vfs_.zName = name_.c_str();
  vfs_.pAppData = this;
  vfs_.xOpen = open;
  vfs_.xDelete = remove;
  vfs_.xAccess = access;
  vfs_.xFullPathname = full_path;
  vfs_.xRandomness = randomness;
  vfs_.xSleep = sleep;
  vfs_.xCurrentTime = current_time;
  vfs_.xGetLastError = last_error;
  if (sqlite3_vfs_register(&vfs_, 0) != SQLITE_OK) throw std::runtime_error("sqlite3_vfs_register");
}

}  // namespace artcache::test
