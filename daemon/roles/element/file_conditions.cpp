// SPDX-License-Identifier: Apache-2.0
#include "roles/element/file_conditions.hpp"

#include "http/ranges.hpp"
#include "roles/element/file_fields.hpp"
#include "util/try.hpp"

namespace artcache::element {
namespace {

/// "*" is any, and whoever changes a file that is not there is told so anyway.
bool names_state(const http::Request& request) {
  if (const auto tags = request.headers.find("If-Match")) return *tags != "*";
  return request.headers.find("If-Unmodified-Since").has_value();
}

}  // namespace

std::string entry_tag(const IndexedEntry& row) { return '"' + to_string(row.hash) + '"'; }

Result<std::optional<std::uint64_t>> seen_revision(FileService& files, const FileId& id,
                                                   const http::Request& request) {
  if (!names_state(request)) return std::optional<std::uint64_t>();
  ARTCACHE_TRY(const IndexedEntry row, files.metadata(id, request.call));
  const http::Representation there{
      .size = 0, .etag = entry_tag(row), .modified = row.entry.updated_at};
  if (http::select(request.headers, there).kind == http::Selection::Kind::failed)
    return Error{Errc::conflict, "File " + to_string(id) + " has changed; read it again"};
  return std::optional(row.revision);
}

Result<void> remove_seen(FileService& files, const FileId& id, const http::Request& request) {
  ARTCACHE_TRY(const auto base, seen_revision(files, id, request));
  return files.remove(id, {.base = base}, request.call);
}

http::Problem change_problem(const FileId& id, const Error& error, const http::Request& request) {
  // One whose outcome is not known may have happened, which no 412 may deny.
  if (error.code == Errc::conflict && error.outcome == Outcome::not_applied && names_state(request))
    return {.status = 412, .detail = "File " + to_string(id) + " has changed; read it again"};
  return file_problem(id, error);
}

}  // namespace artcache::element
