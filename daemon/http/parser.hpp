// SPDX-License-Identifier: Apache-2.0
// One request out of the bytes of a connection. Beast parses; this decides what is refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/message.hpp"

namespace artcache::http {

struct HeadLimits {
  std::size_t bytes = 16 * 1024;
  std::size_t fields = 100;
};

/// Why a request is refused before it has a route: 400, 408, 413, 431, 501, 505.
struct Refusal {
  int status = 400;
  std::string reason = {};
};

/// For one request; bytes are given until head_done(), then until body_done().
class RequestParser {
 public:
  explicit RequestParser(const HeadLimits& limits);
  ~RequestParser();
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;

  using Pieces = std::vector<std::string_view>;
  /// Takes what it can from the front and says how much; what is left is to be given again, with
  /// more behind it. Where bytes of the body stand in it is added to `body`. Stops behind the head,
  /// and behind the request: what follows belongs to the next one.
  std::size_t give(std::string_view bytes, Pieces& body);

  [[nodiscard]] bool head_done() const;
  [[nodiscard]] bool body_done() const;
  /// There once the request cannot be answered otherwise. Nothing more may be given then.
  [[nodiscard]] const std::optional<Refusal>& refusal() const;

  // The following hold once the head is done.
  [[nodiscard]] std::string_view method() const;
  [[nodiscard]] const std::string& target() const;
  [[nodiscard]] Headers& headers();
  [[nodiscard]] std::optional<std::uint64_t> length() const;  ///< nothing: in chunks
  [[nodiscard]] std::uint64_t left() const;  ///< of a body of known length; 0 in chunks
  struct Chunk {
    std::uint64_t size = 0, left = 0;
  };
  [[nodiscard]] Chunk chunk() const;      ///< the one that was given last
  [[nodiscard]] bool keep_alive() const;  ///< whether the client wants it
  [[nodiscard]] bool is_http_1_0() const;
  [[nodiscard]] bool expects_continue() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

std::optional<Method> parse_method(std::string_view word);

/// A request target in its parts.
struct Target {
  std::string_view raw_path;   ///< as it was sent
  std::string path;            ///< decoded
  std::string_view raw_query;  ///< without the question mark
};
/// Errors: invalid_argument: a control character, a `.` or `..` part, a broken escape, no '/'.
Result<Target> parse_target(std::string_view target);

}  // namespace artcache::http
