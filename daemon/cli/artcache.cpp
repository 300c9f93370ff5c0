// SPDX-License-Identifier: Apache-2.0
// artcache: main. Reads the command line and hands over to one verb.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <artcache/version.hpp>
#include <cstdio>

#include "cli/config_file.hpp"
#include "cli/signals.hpp"
#include "cli/verbs.hpp"

int main(int argc, char** argv) {
  using namespace artcache;
  cli::take_signals();
  CLI::App app{"Keeps a queryable index of a file store in step with the store itself."};
  app.name("artcache");
  app.set_version_flag("--version", "artcache " + std::string(version()));
  app.require_subcommand(1);
  app.footer(
      "Exit codes: 0 done, 1 failed, 2 inconsistent, 3 busy, 4 not found, 64 wrong usage.\n"
      "`artcache VERB --help` tells more.");

  int exit_code = cli::kDone;
  cli::add_verbs(app, exit_code);
  auto arguments = cli::with_config_file({argv + 1, argv + argc});
  if (!arguments) {
    cli::fail(arguments.error());
    return cli::kUsage;
  }
  try {
    // CLI11 takes them from the back.
    std::ranges::reverse(*arguments);
    app.parse(std::move(*arguments));
  } catch (const CLI::ParseError& error) {
    // Help and version are "errors" that exit with 0; everything else is wrong usage.
    return app.exit(error) == 0 ? cli::kDone : cli::kUsage;
  }
  return exit_code;
}
