// SPDX-License-Identifier: Apache-2.0
// How every call of artcache answers: a value, or an Error that says what the caller can do.
#pragma once

#include <artcache/export.hpp>
#include <cassert>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace artcache {

/// Why a call failed, chosen by what the caller does next. The names are the wire names: the
/// same word stands in JSON, in logs, in the C API and in the documentation (docs/errors.md).
enum class Errc : std::uint8_t {
  invalid_argument = 1,  ///< The call itself is wrong: mend it, do not retry.
  not_found,             ///< The thing named does not exist.
  conflict,              ///< It exists already, or changed since it was read: read again.
  busy,                  ///< Somebody else holds it: retry later.
  lease_lost,            ///< The lock under which this ran is gone: stop now.
  gone,                  ///< The position asked for is no longer in the log: start from a snapshot.
  corrupt,               ///< Data that must not be served; the message names file and position.
  no_space,              ///< A disk, a quota or a configured capacity is full.
  unavailable,           ///< A server or device does not answer: retry with backoff.
  timed_out,             ///< The deadline of the Call passed.
  cancelled,             ///< The stop token of the Call was set.
  unsupported,           ///< This backend or this build cannot do it.
  internal,              ///< A defect of artcache: please report it.
};

/// One row of the table behind to_string(), http_status() and exit_code().
struct ErrcInfo {
  Errc code;
  std::string_view name;     ///< as in JSON and logs
  int http_status;           ///< what the daemon answers
  int exit_code;             ///< what `artcache` exits with
  std::string_view meaning;  ///< one sentence for people
};

/// All codes, in the order of the enum.
ARTCACHE_EXPORT const std::vector<ErrcInfo>& errc_table();
ARTCACHE_EXPORT std::string_view to_string(Errc code);
ARTCACHE_EXPORT int http_status(Errc code);
ARTCACHE_EXPORT int exit_code(Errc code);
/// The code with this wire name, or nothing.
ARTCACHE_EXPORT std::optional<Errc> parse_errc(std::string_view name);

/// What became of a write that ended in unavailable, timed_out or cancelled.
enum class Outcome : std::uint8_t {
  not_applied,  ///< Nothing changed.
  unknown,      ///< It may have been applied. Retrying is safe: changes carry their base revision.
};

/// A failed call. `message` reads "operation: subject: cause" and never holds a secret.
struct [[nodiscard]] Error {
  Errc code = Errc::internal;
  std::string message;
  Outcome outcome = Outcome::not_applied;

  /// The same error with what was being done put in front: "rebuild: <message>".
  [[nodiscard]] ARTCACHE_EXPORT Error in(std::string_view operation) &&;
  [[nodiscard]] ARTCACHE_EXPORT Error in(std::string_view operation) const&;
};

/// "busy: lock: 'se-01' is held by …", with the outcome where it is not known.
ARTCACHE_EXPORT std::string to_string(const Error& error);

/// What value() throws when there is none, for hosts that like exceptions.
class ARTCACHE_EXPORT Exception : public std::exception {
 public:
  explicit Exception(Error error);
  [[nodiscard]] const char* what() const noexcept override { return text_.c_str(); }
  [[nodiscard]] const Error& error() const noexcept { return error_; }

 private:
  Error error_;
  std::string text_;
};

/// A T, or the Error that stood in its way. The members are those of C++23's std::expected.
/// operator* and -> on an error are programming mistakes (asserted); value() throws.
template <class T>
class [[nodiscard]] Result {
 public:
  using value_type = T;
  using error_type = Error;

  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit

  [[nodiscard]] bool has_value() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }

  [[nodiscard]] T& operator*() & {
    assert(has_value());
    return *std::get_if<0>(&state_);
  }
  [[nodiscard]] const T& operator*() const& {
    assert(has_value());
    return *std::get_if<0>(&state_);
  }
  [[nodiscard]] T&& operator*() && {
    assert(has_value());
    return std::move(*std::get_if<0>(&state_));
  }
  [[nodiscard]] T* operator->() { return &**this; }
  [[nodiscard]] const T* operator->() const { return &**this; }

  [[nodiscard]] T& value() & {
    throw_if_error();
    return **this;
  }
  [[nodiscard]] const T& value() const& {
    throw_if_error();
    return **this;
  }
  [[nodiscard]] T&& value() && {
    throw_if_error();
    return std::move(**this);
  }
  template <class U>
  [[nodiscard]] T value_or(U&& fallback) const& {
    return has_value() ? **this : static_cast<T>(std::forward<U>(fallback));
  }

  [[nodiscard]] const Error& error() const& {
    assert(!has_value());
    return *std::get_if<1>(&state_);
  }
  [[nodiscard]] Error&& error() && {
    assert(!has_value());
    return std::move(*std::get_if<1>(&state_));
  }

 private:
  void throw_if_error() const {
    if (!has_value()) throw Exception(error());
  }
  std::variant<T, Error> state_;
};

/// Success without a value, or an Error. `return {};` is success.
template <>
class [[nodiscard]] Result<void> {
 public:
  using value_type = void;
  using error_type = Error;

  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT: implicit

  [[nodiscard]] bool has_value() const noexcept { return !error_.has_value(); }
  explicit operator bool() const noexcept { return has_value(); }
  void value() const {
    if (error_) throw Exception(*error_);
  }
  [[nodiscard]] const Error& error() const& {
    assert(error_.has_value());
    return *error_;
  }
  [[nodiscard]] Error&& error() && {
    assert(error_.has_value());
    return std::move(*error_);
  }

 private:
  std::optional<Error> error_;
};

}  // namespace artcache
