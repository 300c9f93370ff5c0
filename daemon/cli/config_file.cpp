// SPDX-License-Identifier: Apache-2.0
#include "cli/config_file.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "cli/usage.hpp"

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
  if (is_given(arguments, key)) return true;
  std::string variable = "ARTCACHE_" + key;
  for (char& c : variable) {
    if (c == '-') c = '_';
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return std::getenv(variable.c_str()) != nullptr;
}

bool has(const CLI::App& verb, const std::string& key) {
  return verb.get_option_no_throw("--" + key) != nullptr;
}

/// The options of all verbs, which are those that the file may set.
void add_names(const CLI::App& app, std::vector<std::string>& names) {
  for (const CLI::Option* option : app.get_options({}))
    for (const std::string& name : option->get_lnames()) names.push_back(name);
  for (const CLI::App* verb : app.get_subcommands({})) add_names(*verb, names);
}

/// Nothing where some verb has it.
Result<void> check_key(const std::string& key, const std::string& file, const CLI::App& app) {
  std::vector<std::string> names;
  add_names(app, names);
  if (std::ranges::find(names, key) != names.end()) return {};
  std::string text = "--config: '" + file + "': no verb has an option '" + key + "'";
  if (const std::string meant = nearest(key, names); !meant.empty())
    text += "; did you mean '" + meant + "'?";
  return Error{Errc::invalid_argument, std::move(text)};
}

}  // namespace

Result<std::vector<std::string>> with_config_file(std::vector<std::string> arguments,
                                                  const CLI::App& app, const CLI::App* verb) {
  const auto file = take_file(arguments);
  if (!file || verb == nullptr) return arguments;
  if (!std::filesystem::is_regular_file(*file))
    return Error{Errc::not_found, "--config: there is no file '" + *file + "'"};
  try {
    for (const CLI::ConfigItem& item : CLI::ConfigTOML().from_file(*file)) {
      if (!item.parents.empty())
        return Error{Errc::invalid_argument, "--config: '" + *file + "': sections such as [" +
                                                 item.parents.front() +
                                                 "] mean nothing here; write `key = value`"};
      if (auto known = check_key(item.name, *file, app); !known) return std::move(known).error();
      if (!has(*verb, item.name) || is_set(arguments, item.name)) continue;
      for (const std::string& value : item.inputs)
        arguments.push_back("--" + item.name + "=" + value);
    }
  } catch (const CLI::Error& error) {
    return Error{Errc::invalid_argument, "--config: '" + *file + "': " + error.what()};
  }
  return arguments;
}

}  // namespace artcache::cli
