// SPDX-License-Identifier: Apache-2.0
// The other openings of one database file, in this process and in others.
#pragma once

#include <artcache/call.hpp>
#include <artcache/clock.hpp>
#include <artcache/logger.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "util/fd.hpp"

namespace artcache::sqlite {

/// Keeps writers in order. SQLite gives the right to write to whoever asks in the moment in which
/// it is free, so a process that writes again and again keeps the others out for seconds. Here one
/// at a time waits for its turn, and who has just written waits behind it.
///
/// It is an order and no protection, which is SQLite's. Nobody waits for somebody who was stopped
/// while it was his turn, and where the kernel cannot lock the file there is no order at all. The
/// locks (F_OFD_SETLK) are on an empty file of their own, `<database>-peers`, with the mode of the
/// database; the kernel lets go of them when a process ends, however it ends.
///
/// And tells whether others have an index open. For one thread at a time, but for somebody_waits().
class Peers {
 public:
  Peers() = default;  ///< for a file that nobody else opens
  static Peers beside(const std::string& database, Logger& logger);

  /// The turn of one writer, until it is destroyed.
  class Turn {
   public:
    explicit Turn(const Peers& peers) : peers_(&peers) {}
    Turn(Turn&& other) noexcept : peers_(std::exchange(other.peers_, nullptr)) {}
    Turn& operator=(Turn&&) = delete;
    ~Turn();

   private:
    const Peers* peers_;
  };

  /// Waits for its turn at most as long as the call lasts; whoever goes on after that finds out by
  /// what it does next.
  [[nodiscard]] Turn take_turn(const Call& call, const Clock& clock) const;

  /// Whether another opening waits for its turn. From any thread.
  [[nodiscard]] bool somebody_waits() const;

  /// From now on whoever leaves the index with this number sees that somebody has it open.
  void enter(std::uint64_t index);
  /// Undoes enter(). `last` is called when nobody else has the index open, and nobody can enter
  /// before it returns.
  void leave(const std::function<void()>& last);

 private:
  // Offsets in the file; those from `first_index` on belong to indexes.
  enum class Byte : std::uint64_t { waiting = 1, writing = 2, leaving = 3, first_index = 16 };
  enum class Kind : std::uint8_t { alone, with_others };
  [[nodiscard]] bool lock(Byte byte, Kind kind = Kind::alone) const;
  [[nodiscard]] bool lock_within_a_second(Byte byte, Kind kind) const;
  void unlock(Byte byte) const;
  [[nodiscard]] bool is_locked(Byte byte) const;
  [[nodiscard]] bool wait_to_be_next(const Call& call, const Clock& clock) const;
  void wait_to_write(const Call& call, const Clock& clock) const;

  bool alone_ = true;
  util::Fd file_;
  std::optional<Byte> entered_;
};

}  // namespace artcache::sqlite
