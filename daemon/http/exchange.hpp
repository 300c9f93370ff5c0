// SPDX-License-Identifier: Apache-2.0
// One request and its answer: what the connection and the thread that answers share.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <vector>

#include "http/body_pipe.hpp"
#include "http/finish.hpp"
#include "http/message.hpp"
#include "http/pool.hpp"
#include "http/share.hpp"
#include "http/site.hpp"

namespace artcache::http {

/// Kept alive by the connection, by the job that runs the handler, and by every copy of a late
/// Answer; it may outlive the connection and the server.
class Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  /// `wake` tells the connection, from any thread, that there is something to do for it.
  Exchange(const Site& site, std::optional<std::uint64_t> length, std::uint64_t body_most,
           std::function<void()> wake);

  Request request;
  BodyPipe body;
  std::stop_source stop;
  const Route* route = nullptr;
  std::shared_ptr<Share> seat = {};  ///< among those that last, until nobody works for it

  /// Tries the route's quick handler here; false: there is none, or it leaves it to the handler.
  bool run_quick();
  /// Runs the handler here, and answers with what it returns or throws.
  void run_handler();
  /// Hands over to the late handler.
  void run_late();
  /// From any thread; the first answer counts.
  void answer(Reply reply);
  [[nodiscard]] bool answered() const;
  /// By the connection, once it is answered.
  [[nodiscard]] Finished& finished() { return *finished_; }
  /// By the connection, when it has done with it: no wake() from now on. Whoever still works for an
  /// answer has nobody to work for: its call is stopped, and a body that it waits for has ended.
  void abandon();
  void wake();

 private:
  /// Answers with what `work` returns or throws; false: it returned nothing.
  bool run(const std::function<std::optional<Reply>()>& work);

  const Site& site_;
  mutable std::mutex mutex_;
  // Guarded by mutex_:
  std::function<void()> wake_;
  bool claimed_ = false, answered_ = false;
  std::optional<Finished> finished_;  // written by the one who claimed, read when answered
};

/// Reads a source one buffer ahead of the connection, on the pool; a client that is slow to take
/// its answer holds no thread.
class Feed : public std::enable_shared_from_this<Feed> {
 public:
  Feed(std::shared_ptr<Exchange> exchange, Pool& pool);

  /// Has the buffer filled that is not being sent.
  void fill();
  [[nodiscard]] bool filled() const;
  /// What was filled, empty at the end; stays as it is during the next fill(), not the one after.
  Result<std::span<const std::byte>> take();

 private:
  std::shared_ptr<Exchange> exchange_;
  Pool& pool_;
  std::array<std::vector<std::byte>, 2> buffers_;
  std::size_t next_ = 0;
  mutable std::mutex mutex_;
  std::optional<Result<std::size_t>> filled_;  // guarded by mutex_
};

}  // namespace artcache::http
