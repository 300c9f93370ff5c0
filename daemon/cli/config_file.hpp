// SPDX-License-Identifier: Apache-2.0
// The file that --config names: options of a verb, one `key = value` a line, in TOML.
#pragma once

#include <artcache/result.hpp>
#include <string>
#include <vector>

namespace artcache::cli {

/// The arguments of the command line, with what the file says added behind the verb as options
/// that neither the command line nor the environment (ARTCACHE_<KEY>) sets. Unchanged without
/// --config. Errors: not_found, invalid_argument (the file, named).
Result<std::vector<std::string>> with_config_file(std::vector<std::string> arguments);

}  // namespace artcache::cli
