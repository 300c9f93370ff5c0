// SPDX-License-Identifier: Apache-2.0
// From what PostgreSQL says to an Error.
#pragma once

#include <artcache/result.hpp>
#include <string_view>

namespace artcache::sql {

/// What a caller does about a SQLSTATE.
Errc errc_of_state(std::string_view state);

/// "postgresql: <doing>: <text> (<state>)", the text cut to its first line.
Error postgres_error(std::string_view doing, std::string_view state, std::string_view text);

/// The same for a connection that was never made: libpq tells the state only inside its message,
/// which is asked for in the verbose form.
Error connect_error(std::string_view address, std::string_view message);

}  // namespace artcache::sql
