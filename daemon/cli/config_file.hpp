// SPDX-License-Identifier: Apache-2.0
// The file that --config names: options of a verb, one `key = value` a line, in TOML.
#pragma once

#include <artcache/result.hpp>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace artcache::cli {

/// The arguments of the command line, with what the file says added behind the verb as options
/// that neither the command line nor the environment (ARTCACHE_<KEY>) sets. One file serves all
/// verbs: what only others have is left out. Unchanged without --config, or without a verb.
/// Errors: not_found, invalid_argument (the file, named; with a key that no verb has).
Result<std::vector<std::string>> with_config_file(std::vector<std::string> arguments,
                                                  const CLI::App& app, const CLI::App* verb);

}  // namespace artcache::cli
