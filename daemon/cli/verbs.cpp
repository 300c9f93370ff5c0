// SPDX-License-Identifier: Apache-2.0
#include "cli/verbs.hpp"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <artcache/backends.hpp>
#include <artcache/json_writer.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "cli/sample.hpp"
#include "cli/signals.hpp"

namespace artcache::cli {
namespace {

std::string schemes_as_json(const Backends& backends) {
  JsonWriter json;
  json.begin_array();
  for (const auto& scheme : backends.schemes()) {
    json.begin_object()
        .member("scheme", scheme.name)
        .member("storage", scheme.storage)
        .member("index", scheme.index)
        .member("locks", scheme.locks);
    if (!scheme.left_out.empty()) json.member("left_out", scheme.left_out);
    json.end_object();
  }
  return std::move(json.end_array()).str();
}

std::string uses_of(const Backends::Scheme& scheme) {
  if (!scheme.left_out.empty()) return scheme.left_out;
  std::string uses;
  const auto add = [&](bool has, const char* use) {
    if (has) uses.append(uses.empty() ? "" : ", ").append(use);
  };
  add(scheme.storage, "storage");
  add(scheme.index, "index");
  add(scheme.locks, "locks");
  return uses;
}

void add_schemes(CLI::App& app) {
  auto* verb = app.add_subcommand("schemes", "Lists the addresses that this build understands");
  auto as_json = std::make_shared<bool>(false);
  verb->add_flag("--json", *as_json, "One JSON array");
  verb->callback([as_json] {
    const Backends backends = Backends::builtin();
    if (*as_json) return print_line(schemes_as_json(backends));
    for (const auto& scheme : backends.schemes()) print_line(scheme.name + ":  " + uses_of(scheme));
  });
}

struct SampleOptions {
  std::string folder;
  SampleRequest request;
  bool no_data = false, durable = false, as_json = false;
};

/// A folder of this machine as an address; % and ? in its name must not be taken for escapes.
Result<Url> file_url(const std::string& folder, const std::string& parameters) {
  std::string path;
  for (const char c : std::filesystem::absolute(folder).lexically_normal().string()) {
    if (c == '%' || c == '?' || c == '#') {
      char escape[4];
      std::snprintf(escape, sizeof escape, "%%%02X", static_cast<unsigned>(c));
      path.append(escape);
    } else {
      path.push_back(c);
    }
  }
  return Url::parse("file://" + path + "?" + parameters);
}

int run_sample(const SampleOptions& options) {
  const auto url = file_url(options.folder, options.durable ? "create=on" : "create=on&sync=off");
  if (!url) return fail(url.error());
  const auto storage = Backends::builtin().open_storage(*url, {}, {});
  if (!storage) return fail(storage.error());
  const bool show = isatty(STDERR_FILENO) == 1;
  const auto progress = [&](std::uint64_t done) {
    if (show)
      std::fprintf(stderr, "\r%llu of %llu files", static_cast<unsigned long long>(done),
                   static_cast<unsigned long long>(options.request.files));
  };
  Call call;
  call.stop = stop_requested();
  const auto made = make_sample(**storage, options.request, progress, call);
  if (show) std::fprintf(stderr, "\r\033[K");
  if (!made) return fail(made.error());
  if (options.as_json)
    print_line(JsonWriter()
                   .begin_object()
                   .member("files", made->files)
                   .member("data_bytes", made->data_bytes)
                   .member("sidecar_bytes", made->sidecar_bytes)
                   .member("seed", options.request.seed)
                   .end_object()
                   .str());
  else
    print_line("Made " + std::to_string(made->files) + " files in " + options.folder);
  return kDone;
}

void add_sample(CLI::App& app, int& exit_code) {
  auto* verb = app.add_subcommand(
      "sample", "Makes a believable store to try things on: the same files for the same seed");
  auto options = std::make_shared<SampleOptions>();
  verb->add_option("DIR", options->folder, "Folder to fill; made when it does not exist")
      ->required();
  verb->add_option("N", options->request.files, "Number of files")
      ->required()
      ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{100'000'000}));
  verb->add_option("--seed", options->request.seed, "Another seed makes other files")
      ->capture_default_str();
  verb->add_flag("--no-data", options->no_data, "Sidecars only, without their data files");
  verb->add_flag("--durable", options->durable, "Wait for the disk after every file");
  verb->add_flag("--json", options->as_json, "The result as one JSON object");
  verb->callback([options, &exit_code] {
    options->request.with_data = !options->no_data;
    exit_code = run_sample(*options);
  });
}

bool g_errors_as_json = false;  // set once, by main

/// What to do, where the error itself cannot know it.
const char* advice_on(Errc code) {
  switch (code) {
    case Errc::busy:
      return "try again when it has ended; `artcache locks list` shows who holds what";
    case Errc::lease_lost:
      return "another one has taken over meanwhile; run it again if that one does not do the same";
    case Errc::no_space:
      return "make room and run it again; what was there before is whole";
    default:
      return nullptr;
  }
}

}  // namespace

void print_line(const std::string& text) { std::printf("%s\n", text.c_str()); }

void print_object(std::initializer_list<std::pair<std::string_view, std::string_view>> members) {
  JsonWriter json;
  json.begin_object();
  for (const auto& [name, text] : members) json.member(name, text);
  print_line(std::move(json.end_object()).str());
}

void tell_errors_as_json() { g_errors_as_json = true; }

int fail(const Error& error) { return fail(error, advice_on(error.code)); }

int fail(const Error& error, const char* advice) {
  std::fprintf(stderr, "artcache: %s\n", to_string(error).c_str());
  if (advice != nullptr) std::fprintf(stderr, "artcache: %s\n", advice);
  const int code = exit_code(error.code);
  if (!g_errors_as_json) return code;
  JsonWriter json;
  json.begin_object().key("error").begin_object();
  json.member("code", to_string(error.code)).member("message", error.message);
  json.member("outcome", error.outcome == Outcome::unknown ? "unknown" : "not_applied");
  json.member("exit_code", std::int64_t{code});
  print_line(std::move(json.end_object().end_object()).str());
  return code;
}

void add_verbs(CLI::App& app, int& exit_code) {
  add_reconcile_verbs(app, exit_code);
  add_watch(app, exit_code);
  add_look_verbs(app, exit_code);
  add_file_verbs(app, exit_code);
  add_sync_verbs(app, exit_code);
  add_doctor(app, exit_code);
  add_migrate(app, exit_code);
  add_sample(app, exit_code);
  add_schemes(app);
}

}  // namespace artcache::cli
