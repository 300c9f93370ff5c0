// SPDX-License-Identifier: Apache-2.0
// multipart/form-data (RFC 7578) as it arrives: part after part, none of them whole in memory.
#pragma once

#include <artcache/result.hpp>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "http/message.hpp"

namespace artcache::http {

/// The boundary that a Content-Type names. Errors: invalid_argument (another type, or none).
Result<std::string> multipart_boundary(std::string_view content_type);

struct PartHead {
  std::string name;
  std::optional<std::string> filename;  ///< there for files, be it empty
  std::string content_type;             ///< empty when the part names none
};

/// For one thread at a time. After an error there is nothing more to be read. Errors of every call:
/// invalid_argument (not what RFC 7578 says, or cut off in front of the last boundary), and those
/// of the body.
class MultipartReader {
 public:
  static constexpr std::size_t kHeadMost = 16 * std::size_t{1024};  ///< bytes of one part's header
  static constexpr std::size_t kPartsMost = 100;

  /// `body` must outlive the reader.
  MultipartReader(BodyReader& body, std::string_view boundary);

  /// The next part; skips what is left of the one before. Nothing behind the last one; then the
  /// body was read to its end.
  Result<std::optional<PartHead>> next();
  /// Fills as much of `into` as there is of the part at hand; 0 at its end.
  Result<std::size_t> read(std::span<std::byte> into);
  /// All that is left of the part at hand. Errors besides: no_space when it is longer than `most`.
  Result<std::string> read_text(std::size_t most);

 private:
  [[nodiscard]] std::string_view held() const { return {buffer_.get() + begin_, end_ - begin_}; }
  /// Takes in more; false at the end of the body.
  Result<bool> fill();
  Result<std::size_t> read_straight(std::span<std::byte> into);
  /// How many bytes from the front hold no boundary, nor the beginning of one.
  [[nodiscard]] std::size_t clear_of_boundary(std::string_view all) const;
  /// As many bytes from the front as belong to the part; 0 when a boundary stands there.
  Result<std::size_t> look();
  Result<void> skip_part();
  Result<std::string> take_head();
  Result<void> skip_epilogue();

  BodyReader& body_;
  const std::string delimiter_;  ///< CR LF and the boundary with its dashes
  const std::unique_ptr<char[]> buffer_;
  std::size_t begin_ = 0, end_ = 0;
  std::size_t clear_ = 0;  ///< so many bytes behind begin_ are known to belong to the part
  std::size_t parts_ = 0;
  enum class State : unsigned char { preamble, in_part, after_boundary, done } state_;
};

}  // namespace artcache::http
