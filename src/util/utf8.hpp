// SPDX-License-Identifier: Apache-2.0
// What is and what is not UTF-8.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace artcache::util {

/// Length in bytes of the well-formed UTF-8 sequence at the front of `text`; 0 when there is none
/// (overlong forms, surrogates and values above U+10FFFF are not well-formed).
std::size_t utf8_sequence(std::string_view text);

/// Offset of the first byte that is not UTF-8; text.size() when all of it is.
std::size_t utf8_valid_prefix(std::string_view text);

/// Number of characters in well-formed UTF-8.
std::size_t utf8_length(std::string_view text);

/// The first `characters` characters of well-formed UTF-8.
std::string_view utf8_prefix(std::string_view text, std::size_t characters);

}  // namespace artcache::util
