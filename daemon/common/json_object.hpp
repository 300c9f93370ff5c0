// SPDX-License-Identifier: Apache-2.0
// A JSON object from outside, and bodies of requests that are one.
#pragma once

#include <artcache/result.hpp>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/json_read.hpp"
#include "http/message.hpp"
#include "util/json_scan.hpp"

namespace artcache {

/// The members of one object in their order; none stands twice.
class JsonMembers {
 public:
  /// The text must outlive the object. Errors: invalid_argument (no object, broken, a member
  /// twice), which quotes nothing.
  static Result<JsonMembers> parse(std::string_view text);
  [[nodiscard]] const util::JsonValue* find(std::string_view name) const;

 private:
  std::vector<std::pair<std::string, util::JsonValue>> members_;
};

/// The text that a string value stands for.
std::string decoded(const util::JsonValue& string);

/// Reads the body of a request member by member and gathers what is wrong with it, so that one
/// 422 names all of it. A member that is null counts as not there.
class BodyFields {
 public:
  /// JSON, or a form where the Content-Type says so; an empty body is an empty object.
  static Result<BodyFields> read(http::Request& request, std::size_t most = 64 * 1024);

  [[nodiscard]] bool has(std::string_view name) const { return find(name) != nullptr; }
  /// 1 to `most` characters; "" and a note for the 422 when it is not there.
  std::string needed_text(std::string_view name, std::size_t most = 255);
  std::optional<std::string> text(std::string_view name, std::size_t most = 255);
  std::optional<std::int64_t> number(std::string_view name, std::int64_t least, std::int64_t most);
  std::optional<bool> flag(std::string_view name);
  /// One of `words`, compared without case and given back as it stands there.
  std::optional<std::string> word(std::string_view name, std::span<const std::string_view> words);
  std::optional<std::string> word(std::string_view name,
                                  std::initializer_list<std::string_view> words) {
    return word(name, std::span(words.begin(), words.size()));
  }
  void refuse(std::string_view name, std::string message, std::string type);

  /// 422 with everything that was wrong so far; nothing when all is well.
  [[nodiscard]] std::optional<http::Problem> problem() const;

 private:
  [[nodiscard]] const util::JsonValue* find(std::string_view name) const;

  std::unique_ptr<std::string> body_;  ///< what the values point into; a form is made JSON
  JsonMembers object_;
  bool form_ = false;  ///< all values are texts
  std::vector<http::FieldProblem> problems_;
};

/// `?name=` as a whole number within [least, most]; `fallback` when it is not there. What is wrong
/// is added to `problems`.
std::int64_t query_number(const http::Request& request, std::string_view name,
                          std::int64_t fallback, std::int64_t least, std::int64_t most,
                          std::vector<http::FieldProblem>& problems);

}  // namespace artcache
