// SPDX-License-Identifier: Apache-2.0
// watch: an index that follows its storage.
#include <CLI/CLI.hpp>
#include <artcache/json_writer.hpp>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <memory>

#include "cli/place.hpp"
#include "cli/verbs.hpp"

namespace artcache::cli {
namespace {

using Told = WatchEvent::Kind;

struct WatchOptions : CommonOptions {
  double rescan_seconds = 0;
};

void print_json_line(const WatchEvent& event) {
  JsonWriter json;
  json.begin_object();
  append_members(json, event);
  print_line(std::move(json.end_object()).str());
}

std::string counts_text(const WatchEvent& event) {
  char text[160];
  std::snprintf(text, sizeof text, "%llu sidecars: %llu new, %llu changed, %llu removed in %.3f s",
                static_cast<unsigned long long>(event.sidecars),
                static_cast<unsigned long long>(event.inserted),
                static_cast<unsigned long long>(event.changed),
                static_cast<unsigned long long>(event.removed),
                std::chrono::duration<double>(event.took).count());
  return text;
}

std::string event_text(const WatchEvent& event) {
  switch (event.kind) {
    case Told::began:
      return event.message.empty() ? "following the storage as it changes; Ctrl-C ends it"
                                   : "comparing the whole storage every so often; Ctrl-C ends it";
    case Told::applied:
      return counts_text(event);
    case Told::rescanned:
      return (event.folder.empty() ? "compared the whole storage, "
                                   : "compared '" + event.folder + "', ") +
             counts_text(event);
    case Told::lost:
      return "the index is suspect for now";
    case Told::trusted:
      return "what was lost has been made up for; the index is trusted again";
    case Told::retrying:
      return "this will be tried again";
  }
  return {};
}

void print_event(const WatchEvent& event) {
  print_line(to_string(event.at).substr(11, 8) + " " + event_text(event));
  if (!event.message.empty()) std::fprintf(stderr, "artcache: %s\n", event.message.c_str());
}

int run_watch(const WatchOptions& options) {
  auto place = open_place(options, Needs::index_and_storage, IfMissing::create);
  if (!place) return fail(place.error());
  WatchRequest request;
  request.rescan_every = std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::duration<double>(options.rescan_seconds));
  request.on_event = [&](const WatchEvent& event) {
    if (options.as_json)
      print_json_line(event);
    else if (!options.quiet)
      print_event(event);
    std::fflush(stdout);
  };
  const auto ended = place->service->watch(request, place->call);
  if (ended) return kDone;
  const Error& error = ended.error();
  // There is no room for watches; on the disk there is.
  if (error.code != Errc::unsupported && error.code != Errc::no_space) return fail(error);
  return fail(error, "--rescan-every SECONDS goes on without notices");
}

}  // namespace

void add_watch(CLI::App& app, int& code) {
  auto* verb = app.add_subcommand(
      "watch",
      "Follows the storage: compares it once, then applies changes as they come, until Ctrl-C "
      "or --timeout");
  auto options = std::make_shared<WatchOptions>();
  add_common(*verb, *options, Needs::index_and_storage);
  verb->add_option("--rescan-every", options->rescan_seconds,
                   "Compares the whole storage every so many seconds, too; for storages that tell "
                   "of no changes (s3://) or not of all (network file systems)")
      ->check(CLI::Range(0.0, 1e9))
      ->capture_default_str();
  verb->callback([options, &code] { code = run_watch(*options); });
}

}  // namespace artcache::cli
