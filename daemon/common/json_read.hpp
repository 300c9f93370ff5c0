// SPDX-License-Identifier: Apache-2.0
// Small JSON bodies of requests: what they say, and all that is wrong with them in one answer.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/message.hpp"

namespace artcache {

/// 422 with FastAPI's list.
http::Problem unprocessable(std::vector<http::FieldProblem> fields);
/// 422 for one field: `where` is "body", "query", "path".
http::Problem unprocessable(std::string where, std::string name, std::string message,
                            std::string type);

/// A whole number, nothing else around it; nothing when it is none or does not fit.
std::optional<std::int64_t> parse_whole(std::string_view text);
/// As pydantic reads them: true/false, on/off, 1/0, yes/no, t/f, y/n in any case.
std::optional<bool> parse_flag(std::string_view text);
/// One of the query, false where it is missing. Nothing where it is none, which joins the problems.
std::optional<bool> query_flag(const http::Pairs& query, std::string_view name,
                               std::vector<http::FieldProblem>& problems);

/// One JSON object, member by member; of two members with one name the last counts. Asking for a
/// member that is missing or null gives nothing; asking for one that has another type gives
/// nothing and notes a problem. To be asked for everything first, then for problems().
class JsonObject {
 public:
  explicit JsonObject(std::string text);

  /// It is there, be it null.
  [[nodiscard]] bool has(std::string_view name) const { return find(name) != nullptr; }
  std::optional<std::string> text(std::string_view name);
  std::optional<std::int64_t> number(std::string_view name);
  std::optional<bool> flag(std::string_view name);
  std::optional<std::vector<std::string>> texts(std::string_view name);
  /// An object without white space between its tokens; numbers and strings as they were spelled.
  std::optional<std::string> object(std::string_view name);

  /// Notes a problem when the member is missing or null.
  void require(std::string_view name);
  void refuse(std::string_view name, std::string message, std::string type);
  [[nodiscard]] const std::vector<http::FieldProblem>& problems() const { return problems_; }

 private:
  enum class Kind : std::uint8_t { null, text, number, flag, array, object };
  struct Member {
    Kind kind = Kind::null;
    std::string json;  ///< as spelled, but a text: decoded
  };
  void read(std::string_view json);
  [[nodiscard]] const Member* find(std::string_view name) const;
  const Member* expect(std::string_view name, Kind kind, std::string_view message,
                       std::string_view type);

  std::map<std::string, Member, std::less<>> members_;
  bool unreadable_ = false;
  std::vector<http::FieldProblem> problems_;
};

}  // namespace artcache
