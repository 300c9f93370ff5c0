// SPDX-License-Identifier: Apache-2.0
// A form with a file in it as it is sent: made while it is read, the file never whole in memory.
#pragma once

#include <artcache/result.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace artcache::ingester {

using FormFields = std::vector<std::pair<std::string, std::string>>;

struct FormFile {
  std::string filename = {}, content_type = {};
  std::string_view front = {};  ///< its first bytes, which must stay there
  /// What follows them; none when they are all.
  std::function<Result<std::size_t>(std::span<std::byte>)> rest = {};
};

/// For one thread.
class MultipartBody {
 public:
  /// `before` and `after` are the fields in front of the file and behind it. What is behind it is
  /// asked for once, when the file is at its end: it may have to be read there.
  MultipartBody(const FormFields& before, FormFile file, std::function<Result<FormFields>()> after);

  [[nodiscard]] std::string content_type() const;
  /// Fills as much of `into` as there is; 0 at the end. Errors: those of `rest` and `after`.
  Result<std::size_t> read(std::span<std::byte> into);
  /// All that is left of it at once; for one that is whole().
  Result<std::string> read_all();

  /// The front is all of the file: nothing has to be waited for.
  [[nodiscard]] bool whole() const { return !file_.rest; }
  /// `rest` was asked for bytes: the same body cannot be made again.
  [[nodiscard]] bool begun_rest() const { return begun_rest_; }
  /// Everything was read: whoever it was sent to may have taken it for good.
  [[nodiscard]] bool finished() const { return stage_ == Stage::done; }
  /// Bytes of the file that were read so far.
  [[nodiscard]] std::uint64_t file_bytes() const { return file_bytes_; }

 private:
  enum class Stage : std::uint8_t { head, front, rest, tail, done };
  Result<void> next_stage();

  const std::string boundary_;
  const FormFile file_;
  const std::function<Result<FormFields>()> after_;
  Stage stage_ = Stage::head;
  std::string text_;       ///< of the head, then of the tail
  std::string_view left_;  ///< of text_ or of the front
  bool begun_rest_ = false;
  std::uint64_t file_bytes_ = 0;
};

}  // namespace artcache::ingester
