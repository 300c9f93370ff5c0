// SPDX-License-Identifier: Apache-2.0
// artcache: main. Reads the command line and hands over to one verb.
#include <limits.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <artcache/version.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/config_file.hpp"
#include "cli/signals.hpp"
#include "cli/verbs.hpp"
#include "sql/sqlite/process.hpp"

namespace artcache::cli {
namespace {

std::size_t letters_in_common(std::string_view a, std::string_view b) {
  const auto [in_a, in_b] = std::ranges::mismatch(a, b);
  return static_cast<std::size_t>(in_a - a.begin());
}

/// The name that a word was probably meant to be; empty when none is near.
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

/// What to say of a first word that is no verb: CLI11 would only miss one.
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

/// What to say of a word that a verb does not take.
std::string unexpected_word(const CLI::App& app) {
  const CLI::App* verb = &app;
  std::string path = "artcache";
  while (!verb->get_subcommands().empty()) {
    verb = verb->get_subcommands().front();
    path += " " + verb->get_name();
  }
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

/// No number of ours may be negative; CLI11 would take -1 for a very large one.
void refuse_negative_numbers(CLI::App& app) {
  const auto check = [](const std::string& text) {
    return text.starts_with('-') ? "'" + text + "' is less than 0" : std::string();
  };
  for (CLI::Option* option : app.get_options({}))
    if (const std::string& type = option->get_type_name();
        type.starts_with("UINT") || type.starts_with("FLOAT"))
      option->check(check);
  for (CLI::App* verb : app.get_subcommands({})) refuse_negative_numbers(*verb);
}

/// `help` and `help VERB` are what people type who do not know --help.
void translate_help(std::vector<std::string>& arguments) {
  if (arguments.empty() || arguments.front() != "help") return;
  arguments.erase(arguments.begin());
  arguments.emplace_back("--help");
}

/// Becomes artcached, which lies beside this program or is in the PATH. Returns when it cannot.
int become_artcached(char** arguments) {
  char path[PATH_MAX];
  const ssize_t size = readlink("/proc/self/exe", path, sizeof path);
  if (size > 0) {
    const std::string_view self(path, static_cast<std::size_t>(size));
    const std::string beside = std::string(self.substr(0, self.rfind('/') + 1)) + "artcached";
    execv(beside.c_str(), arguments);
  }
  execvp("artcached", arguments);
  return fail({Errc::unavailable, std::string("serve: artcached: ") + std::strerror(errno) +
                                      "; it has to be beside this program or in the PATH"});
}

}  // namespace
}  // namespace artcache::cli

int main(int argc, char** argv) {
  using namespace artcache;
  // All that follows is for artcached, also --config and --help.
  if (argc > 1 && argv[1] == std::string_view("serve")) return cli::become_artcached(argv + 1);
  cli::take_signals();
  sql::count_no_sqlite_memory();
  CLI::App app{"Keeps a queryable index of a file store in step with the store itself."};
  app.name("artcache");
  app.set_version_flag("--version", "artcache " + std::string(version()));
  app.require_subcommand(1);
  app.footer(
      "Exit codes: 0 done, 1 failed, 2 inconsistent, 3 busy, 4 not found, 64 wrong usage.\n"
      "`artcache VERB --help` tells more.");

  int exit_code = cli::kDone;
  cli::add_verbs(app, exit_code);
  cli::refuse_negative_numbers(app);
  app.add_subcommand("serve", "Serves over HTTP, as artcached does");
  auto arguments = cli::with_config_file({argv + 1, argv + argc});
  if (!arguments) {
    cli::fail(arguments.error());
    return cli::kUsage;
  }
  cli::translate_help(*arguments);
  if (std::ranges::find(*arguments, "--json") != arguments->end()) cli::tell_errors_as_json();
  if (const auto text = cli::unknown_verb(app, *arguments)) {
    std::fprintf(stderr, "artcache: %s\n", text->c_str());
    return cli::kUsage;
  }
  try {
    // CLI11 takes them from the back.
    std::ranges::reverse(*arguments);
    app.parse(std::move(*arguments));
  } catch (const CLI::ExtrasError&) {
    std::fprintf(stderr, "artcache: %s\n", cli::unexpected_word(app).c_str());
    return cli::kUsage;
  } catch (const CLI::ParseError& error) {
    // Help and version are "errors" that exit with 0; everything else is wrong usage.
    return app.exit(error) == 0 ? cli::kDone : cli::kUsage;
  }
  return exit_code;
}
