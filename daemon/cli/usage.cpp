// SPDX-License-Identifier: Apache-2.0
#include "cli/usage.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstddef>

namespace artcache::cli {
namespace {

std::size_t letters_in_common(std::string_view a, std::string_view b) {
  const auto [in_a, in_b] = std::ranges::mismatch(a, b);
  return static_cast<std::size_t>(in_a - a.begin());
}

/// As it is typed: "artcache locks list".
std::string path_of(const CLI::App* verb) {
  if (verb == nullptr || verb->get_parent() == nullptr) return "artcache";
  return path_of(verb->get_parent()) + " " + verb->get_name();
}

}  // namespace

std::string nearest(std::string_view word, const std::vector<std::string>& names) {
  std::string_view best;
  std::size_t most = 1;  // a single letter in common says nothing
  for (const std::string& name : names)
    if (const std::size_t common = letters_in_common(word, name); common > most) {
      most = common;
      best = name;
    }
  return std::string(best);
}

CLI::App* called_verb(CLI::App& app, const std::vector<std::string>& arguments) {
  CLI::App* verb = &app;
  for (const std::string& word : arguments) {
    const auto verbs =
        verb->get_subcommands([&](CLI::App* one) { return one->get_name() == word; });
    if (verbs.empty()) break;
    verb = verbs.front();
  }
  return verb == &app ? nullptr : verb;
}

bool is_given(const std::vector<std::string>& arguments, const std::string& option) {
  const std::string name = "--" + option;
  return std::ranges::any_of(arguments, [&](const std::string& argument) {
    return argument == name || argument.starts_with(name + "=");
  });
}

void refuse_wrong_numbers(CLI::App& app) {
  const auto not_negative = [](const std::string& text) {
    return text.starts_with('-') ? "'" + text + "' is less than 0" : std::string();
  };
  // Those with a fraction are seconds. "nan" is in no range, and out of none either.
  const auto can_be = [](const std::string& text) {
    constexpr double kSecondsMost = 1e9;  // thirty years
    double seconds = 0;
    const bool too_many = CLI::detail::lexical_cast(text, seconds) && !(seconds <= kSecondsMost);
    return too_many ? "'" + text + "' seconds cannot be" : std::string();
  };
  for (CLI::Option* option : app.get_options({})) {
    const std::string type = option->get_type_name();
    if (type.starts_with("UINT") || type.starts_with("FLOAT")) option->check(not_negative);
    if (type.starts_with("FLOAT")) option->check(can_be);
  }
  for (CLI::App* verb : app.get_subcommands({})) refuse_wrong_numbers(*verb);
}

std::optional<std::string> unknown_verb(const CLI::App& app,
                                        const std::vector<std::string>& arguments) {
  if (arguments.empty() || arguments.front().starts_with('-')) return std::nullopt;
  const std::string& word = arguments.front();
  std::vector<std::string> names;
  std::string all;
  for (const CLI::App* verb : app.get_subcommands({})) {
    names.push_back(verb->get_name());
    if (names.back() == word) return std::nullopt;
    all.append(all.empty() ? "" : ", ").append(names.back());
  }
  std::string text = "there is no verb '" + word + "'";
  if (const std::string meant = nearest(word, names); !meant.empty())
    text += "; did you mean '" + meant + "'?";
  return text + "\nVerbs: " + all + "\nRun with --help for more information.";
}

std::string unexpected_word(const CLI::App& app) {
  const CLI::App* verb = &app;
  while (!verb->get_subcommands().empty()) verb = verb->get_subcommands().front();
  const std::string path = path_of(verb);
  const std::string word = app.remaining(true).front();
  if (!word.starts_with("--"))
    return "`" + path + "` does not take '" + word + "'; `" + path + " --help` tells what it takes";
  std::vector<std::string> names;
  for (const CLI::Option* option : verb->get_options({}))
    for (const std::string& name : option->get_lnames()) names.push_back(name);
  std::string text = "`" + path + "` has no option '" + word + "'; ";
  if (const std::string meant = nearest(word.substr(2), names); !meant.empty())
    text += "did you mean '--" + meant + "'? ";
  return text + "`" + path + " --help` lists them";
}

std::string wrong_option(const CLI::ParseError& error, const CLI::App* verb,
                         const std::vector<std::string>& arguments) {
  // "--index is required", "--mode: zz not in {edit,rw,ro,ar}"
  std::string text = error.what();
  const std::string option = text.substr(0, text.find_first_of(": "));
  const CLI::Option* meant =
      verb != nullptr && option.starts_with("--") ? verb->get_option_no_throw(option) : nullptr;
  if (meant != nullptr) {
    const std::string& variable = meant->get_envname();
    const std::string key = option.substr(2);
    if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) {
      text += "; it may stand in ";
      if (!variable.empty()) text += "the environment as " + variable + ", or in ";
      text += "the file of --config as " + key + ", too";
    } else if (!variable.empty() && !is_given(arguments, key)) {
      text.replace(0, option.size(), variable);
    }
  }
  return text + "\n`" + path_of(verb) + " --help` tells more";
}

}  // namespace artcache::cli
