// SPDX-License-Identifier: Apache-2.0
// What Redis is told and what it answers, as bytes and as values.
#pragma once

#include <artcache/result.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

struct redisReader;

namespace artcache::redis {

/// The words of one command.
using Args = std::span<const std::string_view>;

struct Reply {
  enum class Kind : std::uint8_t { nil, integer, text, status, error, array };

  Kind kind = Kind::nil;
  std::int64_t integer = 0;
  std::string text;  ///< of text, status and error
  std::vector<Reply> items;

  [[nodiscard]] bool is(Kind what) const { return kind == what; }
};

/// An answer that says no, as an error: the first word of it decides the code.
Error error_of(const Reply& reply);

/// Appends a command as it goes over the wire; its words are those of both.
void append_command(std::string& out, Args args, Args more = {});

/// Takes bytes as they come and gives replies as they are whole.
class ReplyReader {
 public:
  /// Of one reply; what is longer is refused rather than kept.
  static constexpr std::size_t kBytesMost = 64 * 1024 * 1024;
  static constexpr int kItemsMost = 1'000'000;

  ReplyReader();

  /// Errors: corrupt (too long). After an error nothing more can be read.
  Result<void> feed(std::string_view bytes);
  /// Nothing while the next one is not whole. Errors: corrupt (this is no Redis).
  Result<std::optional<Reply>> next();

 private:
  struct Free {
    void operator()(redisReader* reader) const;
  };
  std::unique_ptr<redisReader, Free> reader_;
  std::size_t unread_ = 0;  // fed since the last whole reply
};

}  // namespace artcache::redis
