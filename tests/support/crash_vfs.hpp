// SPDX-License-Identifier: Apache-2.0
// Files for SQLite in memory, with a power cord to pull: what was not synced is lost, torn, or kept
// out of order.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace artcache::test {

/// One machine with its disk, registered with SQLite under name() for as long as it lives; all
/// connections must be closed before it ends. Safe to use from any thread of one process.
///
/// Model of the disk: a sync of a file makes its content durable, and its name. Every write since
/// then survives a cut or not in sectors of 512 bytes, each for itself, in no order, within a file
/// and between files. What a write did not touch it never harms (SQLITE_IOCAP_POWERSAFE_OVERWRITE,
/// as SQLite assumes of every disk unless told otherwise).
class CrashVfs {
 public:
  static constexpr std::size_t kSector = 512;

  CrashVfs();
  ~CrashVfs();
  CrashVfs(const CrashVfs&) = delete;
  CrashVfs& operator=(const CrashVfs&) = delete;

  /// For SqliteOptions::vfs.
  [[nodiscard]] const std::string& name() const;

  /// Writes, syncs, truncations and removals so far.
  [[nodiscard]] std::uint64_t events() const;
  /// The power fails at the n-th event from now (1: the next one). That event fails, a write of
  /// it perhaps in part, and so does every call until reboot().
  void cut_after(std::uint64_t n);
  [[nodiscard]] bool is_cut() const;

  /// Cuts the power if it is not cut, and starts again with what survived, which `seed` chooses:
  /// 0 keeps nothing that was not synced, 1 everything, any other draws. Connections of before go
  /// on failing and can only be closed.
  void reboot(std::uint64_t seed);

  /// From now on files cannot become longer than they are together now plus `bytes`; anybody
  /// who tries is told that the disk is full. Negative: no limit.
  void limit_growth(std::int64_t bytes);
  /// The n-th sync from now fails with an I/O error and makes nothing durable; later ones work.
  void fail_sync(std::uint64_t n);

  [[nodiscard]] std::vector<std::uint8_t> content(std::string_view path) const;
  /// Overwrites a part of a file, durably, as a failing disk would.
  void damage(std::string_view path, std::size_t offset, std::span<const std::uint8_t> bytes);

  class Machine;

 private:
  std::unique_ptr<Machine> machine_;
};

}  // namespace artcache::test
