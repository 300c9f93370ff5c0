// SPDX-License-Identifier: Apache-2.0
// What requests for files have in common: ids, numbers and filters in paths and queries.
#pragma once

#include <artcache/file_id.hpp>
#include <artcache/metadata_store.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "http/message.hpp"

namespace artcache::element {

/// The `{id}` of the path, or the 422 that says that it is none.
std::variant<FileId, http::Problem> path_id(const http::Request& request);
/// `File <id> not found`, as clients of the original system know it; other errors as they are.
http::Problem file_problem(const FileId& id, const Error& error);

/// A query, field by field; all that is wrong with it is in problems().
class QueryFields {
 public:
  explicit QueryFields(const http::Pairs& query) : query_(query) {}

  /// Nothing when it is missing or no whole number of at least `least`.
  std::optional<std::uint64_t> number(std::string_view name, std::uint64_t least = 0);
  std::optional<std::string> text(std::string_view name) const;
  std::optional<Timestamp> moment(std::string_view name);
  void refuse(std::string_view name, std::string message, std::string type);
  [[nodiscard]] std::vector<http::FieldProblem>& problems() { return problems_; }

 private:
  const http::Pairs& query_;
  std::vector<http::FieldProblem> problems_;
};

/// username, content_type, tag, extension, retention_policy, filename, min_size, max_size,
/// created_from, created_until.
EntryFilter read_filter(QueryFields& fields);

/// Which part of a list is asked for, in any of the three ways that clients have.
struct Window {
  std::uint64_t offset = 0;
  std::uint32_t limit = 100;
  std::uint64_t page = 0;   ///< 0: the request does not count in pages
  bool has_offset = false;  ///< it says `offset`: the answer is told in `items`, too
};
/// page and page_size; or skip, or offset, and limit. A limit above 1000 counts as 1000.
Window read_window(QueryFields& fields);

}  // namespace artcache::element
