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

/// Where the worker may take what has arrived by itself: without a copy, and without waiting for
/// the thread of the connection.
class BodyTap {
 public:
  struct Drawn {
    std::size_t bytes = 0;  ///< 0: nothing is there now, or the connection has to look
    bool end = false;       ///< these were the last ones
    std::optional<Error> failure = {};
  };
  virtual ~BodyTap() = default;
  /// Never waits.
  virtual Drawn draw(std::span<std::byte> into) = 0;
};

/// Bounded: the connection stops reading from its client while there is enough in here. One thread
/// reads, another one fills.
class BodyPipe final : public BodyReader {
 public:
  /// `on_news` is called, from the reading thread, when wants() becomes true, and when the tap has
  /// given the last byte.
  BodyPipe(std::optional<std::uint64_t> length, std::uint64_t most, std::function<void()> on_news);

  Result<std::size_t> read(std::span<std::byte> into) override;
  [[nodiscard]] std::optional<std::uint64_t> length() const override { return length_; }

  /// Whether somebody reads, and there is room; where taps are lent, whether somebody waits.
  [[nodiscard]] bool wants() const;
  /// More than the limit in all is a failure: no_space.
  void put(std::string piece);
  void end();
  /// What the reader is told from now on. The first failure counts.
  void fail(Error error);
  [[nodiscard]] std::optional<Error> failure() const;
  /// So many bytes have come so far.
  [[nodiscard]] std::uint64_t received() const;

  /// Taps will be lent: nothing has to be read ahead. Before the first read.
  void expect_taps();
  /// The reader may draw from it, and nobody else may, until take_back().
  void lend(BodyTap& tap);
  /// The reader is not in it any more. Repeatedly is fine.
  void take_back();

 private:
  [[nodiscard]] bool wants_locked() const;
  void count_locked(std::size_t bytes);
  std::size_t take_locked(std::span<std::byte> into);
  std::size_t draw_locked(std::span<std::byte> into);

  const std::optional<std::uint64_t> length_;
  const std::uint64_t most_;
  const std::function<void()> on_news_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_:
  std::deque<std::string> pieces_;
  std::size_t at_ = 0;       // in the first piece
  std::size_t waiting_ = 0;  // bytes in all pieces that were not read yet
  std::uint64_t total_ = 0;
  BodyTap* tap_ = nullptr;
  bool read_begun_ = false, starving_ = false, lends_ = false, ended_ = false;
  std::optional<Error> failure_;
};

}  // namespace artcache::http
