// SPDX-License-Identifier: Apache-2.0
#include "http/body_pipe.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace artcache::http {
namespace {

// What one upload keeps in memory at most, but for the piece that is on its way in.
constexpr std::size_t kBytesMost = 512 * 1024;

}  // namespace

BodyPipe::BodyPipe(std::optional<std::uint64_t> length, std::uint64_t most,
                   std::function<void()> on_room)
    : length_(length), most_(most), on_room_(std::move(on_room)) {}

Result<std::size_t> BodyPipe::read(std::span<std::byte> into) {
  std::unique_lock held(mutex_);
  const bool wanted_before = wants_locked();
  read_begun_ = true;
  if (wants_locked() && !wanted_before) {
    held.unlock();
    on_room_();
    held.lock();
  }
  changed_.wait(held, [this] { return waiting_ > 0 || ended_ || failure_; });
  if (failure_) return *failure_;
  const bool full_before = !wants_locked();
  std::size_t done = 0;
  while (done < into.size() && !pieces_.empty()) {
    const std::string& piece = pieces_.front();
    const std::size_t size = std::min(into.size() - done, piece.size() - at_);
    std::memcpy(into.data() + done, piece.data() + at_, size);
    done += size;
    at_ += size;
    if (at_ == piece.size()) {
      pieces_.pop_front();
      at_ = 0;
    }
  }
  waiting_ -= done;
  const bool room_now = full_before && wants_locked();
  held.unlock();
  if (room_now) on_room_();
  return done;
}

bool BodyPipe::wants_locked() const {
  return read_begun_ && !ended_ && !failure_ && waiting_ < kBytesMost;
}

bool BodyPipe::wants() const {
  const std::scoped_lock held(mutex_);
  return wants_locked();
}

void BodyPipe::put(std::string piece) {
  if (piece.empty()) return;
  {
    const std::scoped_lock held(mutex_);
    total_ += piece.size();
    if (total_ > most_ && !failure_)
      failure_ = Error{Errc::no_space,
                       "body: longer than the " + std::to_string(most_) + " bytes that are taken"};
    if (failure_) {
      pieces_.clear();
    } else {
      waiting_ += piece.size();
      pieces_.push_back(std::move(piece));
    }
  }
  changed_.notify_one();
}

void BodyPipe::end() {
  {
    const std::scoped_lock held(mutex_);
    ended_ = true;
  }
  changed_.notify_one();
}

void BodyPipe::fail(Error error) {
  {
    const std::scoped_lock held(mutex_);
    if (!failure_ && !ended_) failure_ = std::move(error);
  }
  changed_.notify_one();
}

std::optional<Error> BodyPipe::failure() const {
  const std::scoped_lock held(mutex_);
  return failure_;
}

}  // namespace artcache::http
