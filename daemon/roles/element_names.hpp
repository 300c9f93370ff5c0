// SPDX-License-Identifier: Apache-2.0
// The setting `elements` of roles that ask storage elements.
#pragma once

#include <artcache/result.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "config/plan.hpp"

namespace artcache {

/// What stands between its commas, without blanks.
std::vector<std::string> element_words(std::string_view text);
/// The address in such a word, `se-01=http://host:8010` or `http://host:8010`; empty when it is the
/// name of an instance.
std::string_view element_address(std::string_view word);

/// Whether each of the words of `one`, if it has that setting, is an element: with an address, or
/// an instance of the plan. Nobody else could find out: a name that means nothing is asked nowhere.
/// Errors: invalid_argument, naming the word and the one that was probably meant.
Result<void> check_element_names(const config::Plan& plan, const config::Instance& one);

}  // namespace artcache
