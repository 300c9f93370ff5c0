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
#include <string>
#include <string_view>
#include <vector>

#include "cli/config_file.hpp"
#include "cli/signals.hpp"
#include "cli/usage.hpp"
#include "cli/verbs.hpp"
#include "sql/sqlite/process.hpp"

namespace artcache::cli {
namespace {

/// `help` and `help VERB` are what people type who do not know --help.
void translate_help(std::vector<std::string>& arguments) {
  if (arguments.empty() || arguments.front() != "help") return;
  arguments.erase(arguments.begin());
  arguments.emplace_back("--help");
}

/// Only the verb that is called looks at the environment: CLI11 would let each of them, and `list`
/// would end because of a mode that it does not have.
void leave_environment_to(const CLI::App* verb, CLI::App& app) {
  if (&app != verb)
    for (CLI::Option* option : app.get_options({})) option->envname("");
  for (CLI::App* other : app.get_subcommands({})) leave_environment_to(verb, *other);
}

int wrong_usage(const std::string& text) {
  std::fprintf(stderr, "artcache: %s\n", text.c_str());
  return kUsage;
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
  if (argc > 2 && argv[1] == std::string_view("help") && argv[2] == std::string_view("serve")) {
    std::string serve = "serve", help = "--help";
    char* for_it[] = {serve.data(), help.data(), nullptr};
    return cli::become_artcached(for_it);
  }
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
  cli::refuse_wrong_numbers(app);
  app.add_subcommand("serve", "Serves over HTTP, as artcached does");
  std::vector<std::string> arguments{argv + 1, argv + argc};
  cli::translate_help(arguments);
  if (std::ranges::find(arguments, "--json") != arguments.end()) cli::tell_errors_as_json();
  if (const auto text = cli::unknown_verb(app, arguments)) return cli::wrong_usage(*text);
  const CLI::App* const verb = cli::called_verb(app, arguments);
  cli::leave_environment_to(verb, app);
  auto whole = cli::with_config_file(arguments, app, verb);
  if (!whole) {
    cli::fail(whole.error());
    return cli::kUsage;
  }
  arguments = *whole;
  try {
    // CLI11 takes them from the back.
    std::ranges::reverse(*whole);
    app.parse(std::move(*whole));
  } catch (const CLI::ExtrasError&) {
    return cli::wrong_usage(cli::unexpected_word(app));
  } catch (const CLI::Success& help) {
    // Help and version are "errors", too.
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    return cli::wrong_usage(cli::wrong_option(error, verb, arguments));
  }
  return exit_code;
}
