// SPDX-License-Identifier: Apache-2.0
// The body of a request on its way from the connection to the worker that reads it.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "http/message.hpp"

namespace artcache::http {

/// Bounded: the connection stops reading from its client while there is enough in here. One thread
/// reads, another one fills.
class BodyPipe final : public BodyReader {
 public:
  /// `on_room` is called, from the reading thread, when wants() becomes true.
  BodyPipe(std::optional<std::uint64_t> length, std::uint64_t most, std::function<void()> on_room);

  Result<std::size_t> read(std::span<std::byte> into) override;
  [[nodiscard]] std::optional<std::uint64_t> length() const override { return length_; }

  /// Whether somebody reads, and there is room.
  [[nodiscard]] bool wants() const;
  /// More than the limit in all is a failure: no_space.
  void put(std::string piece);
  void end();
  /// What the reader is told from now on. The first failure counts.
  void fail(Error error);
  [[nodiscard]] std::optional<Error> failure() const;

 private:
  [[nodiscard]] bool wants_locked() const;

  const std::optional<std::uint64_t> length_;
  const std::uint64_t most_;
  const std::function<void()> on_room_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_:
  std::deque<std::string> pieces_;
  std::size_t at_ = 0;       // in the first piece
  std::size_t waiting_ = 0;  // bytes in all pieces that were not read yet
  std::uint64_t total_ = 0;
  bool read_begun_ = false, ended_ = false;
  std::optional<Error> failure_;
};

}  // namespace artcache::http
