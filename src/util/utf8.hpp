// SPDX-License-Identifier: Apache-2.0
// What is and what is not UTF-8.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
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

/// Length in bytes of the character at the front of `text` if it is one that moves a terminal or
/// ends a line: a control character (C0, DEL, C1) or U+2028, U+2029. Otherwise 0.
std::size_t control_character(std::string_view text);

/// Text from outside as a message may quote it: at most its first `bytes` bytes, cut between
/// characters; control characters and bytes that are not UTF-8 become \xHH.
std::string printable(std::string_view text, std::size_t bytes);

}  // namespace artcache::util
