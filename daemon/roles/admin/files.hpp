// SPDX-License-Identifier: Apache-2.0
// What the routes of the registry of files share.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "roles/admin/parts.hpp"

namespace artcache::admin {

/// The `{id}` of the path, or the 422 that says that it is none.
std::variant<FileId, http::Problem> path_file(const http::Request& request);
http::Problem file_not_found(const FileId& id);
/// The best copy; nothing when there is none, or a deleted one where these are left out.
Result<std::optional<RegisteredFile>> find_file(const Parts& parts, const FileId& id,
                                                Deleted deleted, const Call& call);
http::Response file_response(int status, const RegisteredFile& file);

/// PATCH and PUT: changes the file at its element and waits until the log has told of it. 202 where
/// that takes longer than Options::edit_wait: then the element has the change, and the answer shows
/// what the registry still knows.
http::Reply edit_file(Parts& parts, http::Request& request, Deed& deed);

}  // namespace artcache::admin
