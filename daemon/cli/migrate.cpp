// SPDX-License-Identifier: Apache-2.0
// migrate: makes the tables of an index those of this version of artcache.
#include <CLI/CLI.hpp>
#include <artcache/backends.hpp>
#include <artcache/json_writer.hpp>
#include <memory>
#include <string>
#include <utility>

#include "cli/place.hpp"
#include "cli/verbs.hpp"

namespace artcache::cli {
namespace {

std::string told(const Migrated& done) {
  const std::string now = std::to_string(done.after);
  if (done.before == 0) return "made the tables of schema " + now;
  if (done.before == done.after) return "nothing to do, its schema is " + now;
  return "migrated from schema " + std::to_string(done.before) + " to " + now;
}

int run_migrate(const CommonOptions& options) {
  Url index;
  const auto place = begin_place(options, &index);
  if (!place) return fail(place.error());
  const auto done = Backends::builtin().migrate_index(index, place->deps, place->call);
  if (!done) return fail(Error(done.error()).in("--index"));
  if (options.as_json)
    print_line(JsonWriter()
                   .begin_object()
                   .member("schema_before", done->before)
                   .member("schema", done->after)
                   .end_object()
                   .str());
  else
    print_line(index.redacted() + ": " + told(*done));
  return kDone;
}

}  // namespace

void add_migrate(CLI::App& app, int& code) {
  auto* verb = app.add_subcommand(
      "migrate", "Makes the tables of an index those of this version; older programs stop");
  auto options = std::make_shared<CommonOptions>();
  add_common(*verb, *options, Needs::index);
  hide_options(*verb, {"--locks", "--element"});
  verb->callback([options, &code] { code = run_migrate(*options); });
}

}  // namespace artcache::cli
