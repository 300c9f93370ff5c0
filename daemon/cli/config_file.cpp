// SPDX-License-Identifier: Apache-2.0
#include "cli/config_file.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <optional>

namespace artcache::cli {
namespace {

constexpr std::string_view kOption = "--config";

/// Takes `--config FILE` or `--config=FILE` out of the arguments.
std::optional<std::string> take_file(std::vector<std::string>& arguments) {
  for (auto at = arguments.begin(); at != arguments.end(); ++at) {
    if (*at == kOption && at + 1 != arguments.end()) {
      std::string file = *(at + 1);
      arguments.erase(at, at + 2);
      return file;
    }
    if (at->starts_with("--config=")) {
      std::string file = at->substr(kOption.size() + 1);
      arguments.erase(at);
      return file;
    }
  }
  return std::nullopt;
}

bool is_set(const std::vector<std::string>& arguments, const std::string& key) {
  const std::string option = "--" + key;
  const auto names_it = [&](const std::string& argument) {
    return argument == option || argument.starts_with(option + "=");
  };
  if (std::ranges::any_of(arguments, names_it)) return true;
  std::string variable = "ARTCACHE_" + key;
  for (char& c : variable) {
    if (c == '-') c = '_';
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return std::getenv(variable.c_str()) != nullptr;
}

}  // namespace

Result<std::vector<std::string>> with_config_file(std::vector<std::string> arguments) {
  const auto file = take_file(arguments);
  if (!file) return arguments;
  if (!std::filesystem::is_regular_file(*file))
    return Error{Errc::not_found, "--config: there is no file '" + *file + "'"};
  try {
    for (const CLI::ConfigItem& item : CLI::ConfigTOML().from_file(*file)) {
      if (!item.parents.empty())
        return Error{Errc::invalid_argument, "--config: '" + *file + "': sections such as [" +
                                                 item.parents.front() +
                                                 "] mean nothing here; write `key = value`"};
      if (is_set(arguments, item.name)) continue;
      for (const std::string& value : item.inputs)
        arguments.push_back("--" + item.name + "=" + value);
    }
  } catch (const CLI::Error& error) {
    return Error{Errc::invalid_argument, "--config: '" + *file + "': " + error.what()};
  }
  return arguments;
}

}  // namespace artcache::cli
