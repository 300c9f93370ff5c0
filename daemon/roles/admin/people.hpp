// SPDX-License-Identifier: Apache-2.0
// The people who run the admin: how they come into being, and how they are shown.
#pragma once

#include <string_view>

#include "roles/admin/parts.hpp"

namespace artcache::admin {

inline constexpr std::size_t kPasswordLeast = 8;

/// `user` with a hash of the password, an id and times. Slow, as hashing is.
/// Errors: conflict (the name is taken), and those of the database.
Result<AdminUser> make_user(Parts& parts, AdminUser user, std::string_view password,
                            const Call& call);

/// Options::user, unless somebody of that name is there.
Result<void> make_initial_user(Parts& parts, const Call& call);

/// Sets another password, which ends every session of the user.
Result<void> set_password(Parts& parts, AdminUser& user, std::string_view password);
/// What set_password() has set in `changed`, which took long, for the user as they are now.
void take_password(AdminUser& user, const AdminUser& changed);

/// The member's text as a new password; what is wrong with it becomes part of the 422.
std::string new_password(BodyFields& body, std::string_view member);

http::Response user_response(int status, const AdminUser& user);
void append_user(JsonWriter& json, const AdminUser& user);

}  // namespace artcache::admin
