// SPDX-License-Identifier: Apache-2.0
// How service accounts come into being.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "roles/admin/parts.hpp"

namespace artcache::admin {

/// `sa_prod_report_writer_1f2e3d4c`
std::string make_client_id(std::string_view environment, std::string_view name);
/// When a secret that is set now is none any more; nothing for never.
std::optional<Timestamp> secret_expiry(const Parts& parts);

/// Fills in what a new account needs beside name, role and limit. Slow, as hashing is.
/// Errors: conflict (name or client_id are taken), and those of the database.
Result<ServiceAccount> make_account(Parts& parts, ServiceAccount account, std::string_view secret,
                                    const Call& call);

/// Those of Options::accounts that are not there yet. An existing one is left as it is.
Result<void> make_initial_accounts(Parts& parts, const Call& call);

}  // namespace artcache::admin
