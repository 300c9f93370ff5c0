// SPDX-License-Identifier: Apache-2.0
#include "cli/place.hpp"

#include <CLI/CLI.hpp>
#include <artcache/element.hpp>
#include <artcache/url.hpp>
#include <chrono>
#include <utility>

#include "cli/console.hpp"
#include "cli/signals.hpp"
#include "common/s3_environment.hpp"

namespace artcache::cli {
namespace {

Result<Url> parse_option(std::string_view option, const std::string& text) {
  auto url = Url::parse(text);
  if (!url) return std::move(url).error().in(option);
  return url;
}

Console::Chatter chatter_of(const CommonOptions& options) {
  if (options.quiet) return Console::Chatter::quiet;
  return options.verbose ? Console::Chatter::verbose : Console::Chatter::normal;
}

/// An index that lies inside the storage must not show in its listings.
void hide_index(StorageBackend& storage, const Url& index) {
  if (index.scheme() == "sqlite") storage.hide(index.path());
}

/// Who only looks at an index leaves it as it is, and may ask for locks of whatever name.
Result<void> find_element(Place& place, Needs needs, const CommonOptions& options) {
  const bool looks = needs == Needs::index;
  auto found = settle_element(*place.index, looks ? "" : options.element, place.call);
  if (!found) return std::move(found).error().in("--element");
  place.element = looks && !options.element.empty() ? options.element : std::move(*found);
  return {};
}

Result<void> open_locks(Place& place, const Backends& backends, const CommonOptions& options) {
  LockStore* const store = place.index->locks();
  if (store == nullptr) return Error{Errc::unsupported, "--locks: this index keeps no locks"};
  auto claims = make_lock_manager(*store, place.deps);
  if (!claims) return std::move(claims).error();
  place.claims = std::move(*claims);
  if (!options.locks.empty()) {
    const auto url = parse_option("--locks", options.locks);
    if (!url) return url.error();
    auto locks = backends.open_locks(*url, *store, place.deps, place.call);
    if (!locks) return std::move(locks).error().in("--locks");
    place.locks = std::move(*locks);
    return {};
  }
  auto locks = make_lock_manager(*store, place.deps);
  if (!locks) return std::move(locks).error();
  place.locks = std::move(*locks);
  return {};
}

Result<void> open_service(Place& place, const Backends& backends, const CommonOptions& options,
                          const Url& index) {
  const auto given = parse_option("--storage", options.storage);
  if (!given) return given.error();
  auto url = with_s3_environment(*given, process_environment());
  if (!url) return std::move(url).error().in("--storage");
  auto storage = backends.open_storage(*url, place.deps, place.call);
  if (!storage) return std::move(storage).error().in("--storage");
  place.storage = std::move(*storage);
  hide_index(*place.storage, index);
  RebuildSettings settings;
  settings.element = place.element;
  settings.mode = parse_element_mode(options.mode).value_or(ElementMode::edit);
  place.service = std::make_unique<CacheRebuildService>(*place.storage, *place.index, *place.locks,
                                                        settings, place.deps);
  place.service->budget().set_files_per_second(options.files_per_second);
  place.service->budget().set_bytes_per_second(options.bytes_per_second);
  return {};
}

}  // namespace

Place::Place() = default;
Place::~Place() = default;
Place::Place(Place&&) noexcept = default;

ProgressSink Place::progress() const {
  if (!console->has_bar()) return {};
  return [console = console.get()](const RunProgress& progress) { console->show(progress); };
}

void Place::end_progress() const { console->clear(); }

void add_common(CLI::App& verb, CommonOptions& options, Needs needs) {
  auto* index =
      verb.add_option("--index", options.index, "Address of the index, such as sqlite:///p.db")
          ->envname("ARTCACHE_INDEX");
  index->required();
  if (needs == Needs::index_and_storage) {
    verb.add_option("--storage", options.storage, "Address of the storage, such as file:///data")
        ->required()
        ->envname("ARTCACHE_STORAGE");
    verb.add_option("--mode", options.mode, "Mode of the element; says how long entries are fresh")
        ->check(CLI::IsMember({"edit", "rw", "ro", "ar"}))
        ->capture_default_str()
        ->envname("ARTCACHE_MODE");
    verb.add_option("--files-per-second", options.files_per_second,
                    "Opens no more files a second; 0 for as many as there are")
        ->capture_default_str();
    verb.add_option("--bytes-per-second", options.bytes_per_second,
                    "Reads no more bytes a second; takes 64M, 1G; 0 for as many as there are")
        ->transform(CLI::AsSizeValue(false))
        ->capture_default_str();
  }
  if (needs == Needs::index) {
    // Who has both in a script may pass both.
    for (std::string* unused : {&options.storage, &options.mode})
      verb.add_option(unused == &options.mode ? "--mode" : "--storage", *unused)->group("");
  }
  verb.add_option("--locks", options.locks, "Address of the locks; the index keeps them otherwise")
      ->envname("ARTCACHE_LOCKS");
  verb.add_option("--element", options.element,
                  "Name of the storage element, for its locks; as the index keeps it otherwise")
      ->envname("ARTCACHE_ELEMENT");
  verb.add_option("--timeout", options.timeout_seconds,
                  "Gives up after so many seconds; 0 for never")
      ->capture_default_str();
  verb.add_flag("--json", options.as_json, "The answer as JSON");
  auto* quiet = verb.add_flag("-q,--quiet", options.quiet, "Nothing but the answer and warnings");
  verb.add_flag("-v,--verbose", options.verbose, "Log lines of every level")->excludes(quiet);
  // Taken out before the verb is parsed (config_file.hpp); here so that --help tells of it.
  verb.add_option("--config", options.config,
                  "TOML file with these options as keys: storage = \"file:///…\"");
}

void hide_options(CLI::App& verb, std::initializer_list<const char*> names) {
  for (const char* name : names) verb.get_option(name)->group("");
}

Result<Place> begin_place(const CommonOptions& options, Url* index) {
  Place place;
  place.console = std::make_unique<Console>(chatter_of(options));
  place.deps.logger = place.console.get();
  place.call.stop = stop_requested();
  if (options.timeout_seconds > 0)
    place.call = place.call.within(std::chrono::duration_cast<std::chrono::nanoseconds>(
        std::chrono::duration<double>(options.timeout_seconds)));
  auto url = parse_option("--index", options.index);
  if (!url) return std::move(url).error();
  *index = std::move(*url);
  return place;
}

Result<std::unique_ptr<MetadataStore>> open_existing_index(const Backends& backends, const Url& url,
                                                           const Place& place) {
  // Unless the address says itself what is to be done.
  if (url.scheme() == "mem" || url.parameter("create"))
    return backends.open_index(url, place.deps, place.call);
  std::string text = url.reveal();
  text.append(url.parameters().empty() ? "?" : "&").append("create=off");
  const auto chosen = Url::parse(text);
  if (!chosen) return chosen.error();
  return backends.open_index(*chosen, place.deps, place.call);
}

Error advised(Error error) {
  // Not a folder that it would lie in, or a server.
  const bool only_index = error.message.find("create it first") == std::string::npos;
  if (error.code == Errc::not_found && only_index) error.message += "; `artcache rebuild` makes it";
  return error;
}

Result<Place> open_place(const CommonOptions& options, Needs needs, IfMissing if_missing) {
  Url url;
  auto begun = begin_place(options, &url);
  if (!begun) return begun;
  Place& place = *begun;
  const Backends backends = Backends::builtin();
  auto index = if_missing == IfMissing::refuse ? open_existing_index(backends, url, place)
                                               : backends.open_index(url, place.deps, place.call);
  if (!index) {
    Error error = std::move(index).error().in("--index");
    return if_missing == IfMissing::refuse ? advised(std::move(error)) : error;
  }
  place.index = std::move(*index);
  if (auto found = find_element(place, needs, options); !found) return found.error();
  if (auto opened = open_locks(place, backends, options); !opened) return opened.error();
  if (needs == Needs::index_and_storage)
    if (auto opened = open_service(place, backends, options, url); !opened) return opened.error();
  return begun;
}

}  // namespace artcache::cli
