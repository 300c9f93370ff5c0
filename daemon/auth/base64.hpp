// SPDX-License-Identifier: Apache-2.0
// base64url without padding (RFC 4648, section 5), as tokens and key sets have it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace artcache::auth {

std::string base64url(std::span<const std::uint8_t> bytes);
std::string base64url(std::string_view bytes);

/// Nothing when the text is not the one spelling of some bytes: padding, white space, the other
/// alphabet, or bits set behind the end.
std::optional<std::string> from_base64url(std::string_view text);

}  // namespace artcache::auth
