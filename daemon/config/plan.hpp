// SPDX-License-Identifier: Apache-2.0
// What this process is to be: which roles, where, with which settings.
#pragma once

#include <artcache/result.hpp>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/settings.hpp"
#include "config/toml_file.hpp"
#include "roles/role.hpp"

namespace artcache::config {

/// One role that runs.
struct Instance {
  const RoleKind* kind = nullptr;
  std::string name;  ///< "admin", "se-01"
  Settings site;     ///< where it listens, and its limits
  Settings role;
};

struct Plan {
  Settings daemon;
  std::vector<Instance> instances;  ///< the admin first: others may need its keys
  std::vector<std::string> warnings;

  /// Where roles keep what is theirs. Absolute: addresses of databases are made of it.
  [[nodiscard]] std::filesystem::path data() const;
};

/// What is said, the later the stronger: the file, the environment, the flags.
struct Sources {
  std::vector<Said> file;
  std::function<std::optional<std::string>(const std::string&)> environment;
  std::vector<std::string> roles;  ///< --role: without a section in the file, too
  std::vector<std::string> flags;  ///< --set: "admin.port=9000"
  /// The names of all variables, so that one that is misspelt is warned about.
  std::vector<std::string> variables = {};
};

/// In the environment the seeds' names count when one role runs; with several,
/// `ARTCACHE_SE_01_PORT` does, and a bare name that is set is warned about; so is one that the
/// original reads and nobody here, and one that is near to one of ours of the same first word.
/// Errors: invalid_argument: a section or a name that nobody knows (with the one that was probably
/// meant), a flag for an instance that neither the file nor --role has named, a value that is none.
Result<Plan> make_plan(std::span<const RoleKind* const> kinds, const Sources& sources);

/// All of it as the file would say it, with who said each line; secrets are `***`.
std::string to_text(const Plan& plan);

/// The settings of the process, and those that every site has.
std::span<const Setting> daemon_settings();
std::span<const Setting> site_settings();

}  // namespace artcache::config
