// SPDX-License-Identifier: Apache-2.0
// How service accounts come into being.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "roles/admin/parts.hpp"

namespace artcache::admin {

/// Those that a service account may have.
inline constexpr std::array<std::string_view, 5> kAccountRoles{"ADMIN", "OPERATOR", "USER",
                                                               "AUDITOR", "READONLY"};
/// The one of them that `word` means, in whatever case it is written.
/// Errors: invalid_argument, naming them all.
Result<std::string> account_role(std::string_view word);

/// `sa_prod_report_writer_1f2e3d4c`
std::string make_client_id(std::string_view environment, std::string_view name);
/// When a secret that is set now is none any more; nothing for never.
std::optional<Timestamp> secret_expiry(const Parts& parts);

/// Fills in what a new account needs beside name, role and limit. Slow, as hashing is.
/// Errors: conflict (name or client_id are taken), and those of the database.
Result<ServiceAccount> make_account(Parts& parts, ServiceAccount account, std::string_view secret,
                                    const Call& call);

/// Those of Options::accounts that are not there yet, by their names, which nobody changes. An
/// existing one is left as it is.
Result<void> make_initial_accounts(Parts& parts, const Call& call);

}  // namespace artcache::admin
