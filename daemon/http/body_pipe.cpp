// SPDX-License-Identifier: Apache-2.0
#include "http/body_pipe.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace artcache::http {
namespace {

// What one upload keeps in memory at most, but for the piece that is on its way in.
constexpr std::size_t kBytesMost = 512 * 1024;
constexpr std::size_t kJoinMost = 16 * std::size_t{1024};

}  // namespace

BodyPipe::BodyPipe(std::optional<std::uint64_t> length, std::uint64_t most,
                   std::function<void()> on_news)
    : length_(length), most_(most), on_news_(std::move(on_news)) {}

Result<std::size_t> BodyPipe::read(std::span<std::byte> into) {
  std::unique_lock held(mutex_);
  const bool wanted = wants_locked();
  bool news = false;
  std::size_t drawn = 0;
  read_begun_ = true;
  while (!failure_ && waiting_ == 0 && !ended_) {
    if (tap_ != nullptr) drawn = draw_locked(into);
    news = ended_;
    if (drawn > 0 || failure_ || ended_) break;
    starving_ = true;
    if (wants_locked() && !wanted) {
      held.unlock();
      on_news_();
      held.lock();
    }
    changed_.wait(held, [this] { return waiting_ > 0 || ended_ || failure_ || tap_ != nullptr; });
  }
  if (failure_) return *failure_;
  if (drawn == 0) {
    const bool full = !wants_locked();
    drawn = take_locked(into);
    news = news || (wants_locked() && (full || !wanted));
  }
  held.unlock();
  if (news) on_news_();
  return drawn;
}

std::size_t BodyPipe::take_locked(std::span<std::byte> into) {
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
  return done;
}

std::size_t BodyPipe::draw_locked(std::span<std::byte> into) {
  BodyTap::Drawn drawn = tap_->draw(into);
  if (drawn.bytes == 0 || drawn.end || drawn.failure) tap_ = nullptr;
  count_locked(drawn.bytes);
  if (drawn.failure && !failure_) failure_ = std::move(drawn.failure);
  ended_ = ended_ || drawn.end;
  return drawn.bytes;
}

void BodyPipe::count_locked(std::size_t bytes) {
  total_ += bytes;
  if (total_ <= most_ || failure_) return;
  failure_ = Error{Errc::no_space,
                   "body: longer than the " + std::to_string(most_) + " bytes that are taken"};
}

bool BodyPipe::wants_locked() const {
  if (!read_begun_ || ended_ || failure_) return false;
  return lends_ ? starving_ : waiting_ < kBytesMost;
}

bool BodyPipe::wants() const {
  const std::scoped_lock held(mutex_);
  return wants_locked();
}

void BodyPipe::put(std::string piece) {
  if (piece.empty()) return;
  {
    const std::scoped_lock held(mutex_);
    count_locked(piece.size());
    starving_ = false;
    if (failure_) {
      pieces_.clear();
    } else {
      waiting_ += piece.size();
      // What comes byte by byte must not take the room of a piece for each.
      if (!pieces_.empty() && pieces_.back().size() + piece.size() <= kJoinMost)
        pieces_.back().append(piece);
      else
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

std::uint64_t BodyPipe::received() const {
  const std::scoped_lock held(mutex_);
  return total_;
}

void BodyPipe::expect_taps() {
  const std::scoped_lock held(mutex_);
  lends_ = true;
}

void BodyPipe::lend(BodyTap& tap) {
  {
    const std::scoped_lock held(mutex_);
    tap_ = &tap;
  }
  changed_.notify_one();
}

void BodyPipe::take_back() {
  const std::scoped_lock held(mutex_);
  tap_ = nullptr;
}

}  // namespace artcache::http
