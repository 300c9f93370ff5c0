// SPDX-License-Identifier: Apache-2.0
// The body of a request that a test makes up.
#pragma once

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "http/message.hpp"

namespace artcache::http {

/// Arrives at most `piece` bytes a read, the first time besides at most `first`.
class TextBody final : public BodyReader {
 public:
  explicit TextBody(std::string text, std::size_t piece = SIZE_MAX, std::size_t first = SIZE_MAX)
      : text_(std::move(text)), piece_(piece), first_(first) {}

  /// Instead of the end.
  void fail_at_end(Error error) { error_ = std::move(error); }
  [[nodiscard]] std::size_t left() const { return text_.size() - at_; }

  Result<std::size_t> read(std::span<std::byte> into) override {
    const std::size_t bytes =
        std::min({into.size(), piece_, std::exchange(first_, SIZE_MAX), left()});
    if (bytes == 0 && error_) return *error_;
    std::memcpy(into.data(), text_.data() + at_, bytes);
    at_ += bytes;
    return bytes;
  }
  [[nodiscard]] std::optional<std::uint64_t> length() const override { return text_.size(); }

 private:
  const std::string text_;
  const std::size_t piece_;
  std::size_t first_, at_ = 0;
  std::optional<Error> error_;
};

}  // namespace artcache::http
