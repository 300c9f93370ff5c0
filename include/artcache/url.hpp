// SPDX-License-Identifier: Apache-2.0
// The addresses that name a storage, an index, a lock server or a log.
#pragma once

#include <artcache/export.hpp>
#include <artcache/result.hpp>
#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace artcache {

/// A value: `scheme://user:password@host:port,host:port/path?name=value&…`, or `scheme:` alone.
/// Parts are percent-decoded. Passwords and other secrets may be inside, therefore redacted() is
/// the only way to print one.
class ARTCACHE_EXPORT Url {
 public:
  struct Host {
    std::string name;        ///< without the brackets of an IPv6 address
    std::uint16_t port = 0;  ///< 0: none given
    friend bool operator==(const Host&, const Host&) = default;
  };
  struct Parameter {
    std::string name, value;
    friend bool operator==(const Parameter&, const Parameter&) = default;
  };

  /// Errors: invalid_argument (the message quotes no secret): no scheme, a bad escape, a NUL,
  /// a # part, a bad host or port, a parameter given twice, an @ from which it seems that a
  /// password holds a / or ? unescaped.
  static Result<Url> parse(std::string_view text);

  [[nodiscard]] const std::string& scheme() const { return scheme_; }  ///< lower case
  [[nodiscard]] const std::string& user() const { return user_; }
  [[nodiscard]] const std::string& password() const { return password_; }
  [[nodiscard]] const std::vector<Host>& hosts() const { return hosts_; }
  [[nodiscard]] const std::string& path() const { return path_; }  ///< with its leading slash
  [[nodiscard]] const std::vector<Parameter>& parameters() const { return parameters_; }

  /// The value of a parameter; nothing when it is not there.
  [[nodiscard]] std::optional<std::string> parameter(std::string_view name) const;
  /// A parameter as a whole number within [least, most], `fallback` when it is not there.
  /// Errors: invalid_argument naming the parameter and the range.
  [[nodiscard]] Result<std::int64_t> integer(std::string_view name, std::int64_t fallback,
                                             std::int64_t least, std::int64_t most) const;
  /// A parameter as on/off, true/false, yes/no, 1/0. Errors: invalid_argument.
  [[nodiscard]] Result<bool> flag(std::string_view name, std::optional<bool> fallback) const;
  /// A parameter as a duration: 250ms, 30s, 5m, 2h; a bare number means seconds.
  /// Errors: invalid_argument.
  [[nodiscard]] Result<std::chrono::milliseconds> duration(
      std::string_view name, std::chrono::milliseconds fallback) const;

  /// Fails for a parameter that is not one of `known`: invalid_argument naming it and, where one
  /// is near, the parameter that was probably meant.
  [[nodiscard]] Result<void> expect_only(std::initializer_list<std::string_view> known) const;

  /// For people and logs: passwords, and parameters whose name tells of a secret, are `***`, also
  /// the password in a parameter that is an address itself. Parses again, to the same but for
  /// these.
  [[nodiscard]] std::string redacted() const;
  /// The text as it was given, secrets and all: only to hand to a client library.
  [[nodiscard]] const std::string& reveal() const { return text_; }

 private:
  std::string text_, scheme_, user_, password_, path_;
  std::vector<Host> hosts_;
  std::vector<Parameter> parameters_;
  bool has_authority_ = false;
};

}  // namespace artcache
