// SPDX-License-Identifier: Apache-2.0
// The file that --config names, flattened.
#pragma once

#include <artcache/result.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace artcache::config {

/// One `name = value` in `[section]`.
struct Said {
  std::string section;  ///< "daemon", "element.se-01"
  std::string name, value;
  std::string source;  ///< "artcached.toml:12"
};

/// `file` is for messages. Lists are joined with commas.
/// Errors: invalid_argument, with file and line: no TOML, a value outside of a section, a value
/// that is neither text, number, flag nor a list of these.
Result<std::vector<Said>> parse_toml(std::string_view text, const std::string& file);

}  // namespace artcache::config
