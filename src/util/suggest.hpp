// SPDX-License-Identifier: Apache-2.0
// "Did you mean …?"
#pragma once

#include <initializer_list>
#include <span>
#include <string_view>

namespace artcache::util {

/// The candidate that a mistyped word was most likely meant to be (at most two edits, fewer for
/// short words); empty when none is near.
std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates);
std::string_view nearest(std::string_view word, std::initializer_list<std::string_view> candidates);

}  // namespace artcache::util
