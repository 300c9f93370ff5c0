// SPDX-License-Identifier: Apache-2.0
// The field `tags` of a form.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace artcache {

/// Of `["a", "b"]`, which has room for every tag there is; nothing when it is no JSON list of
/// texts. Empty tags do not count, here and below.
std::optional<std::vector<std::string>> tags_of_list(std::string_view json);

/// Of `a, b`: without the blanks around them.
std::vector<std::string> tags_of_words(std::string_view words);

/// What tags_of_list() reads.
std::string list_of_tags(const std::vector<std::string>& tags);

}  // namespace artcache
