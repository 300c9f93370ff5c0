// SPDX-License-Identifier: Apache-2.0
// What the options --storage, --index, --locks and --element of a verb name, opened.
#pragma once

#include <artcache/backends.hpp>
#include <artcache/cache_rebuild_service.hpp>
#include <artcache/lock_manager.hpp>
#include <artcache/metadata_store.hpp>
#include <artcache/storage_backend.hpp>
#include <artcache/url.hpp>
#include <initializer_list>
#include <memory>
#include <string>

namespace CLI {
class App;
}

namespace artcache::cli {

/// The options that verbs have in common.
struct CommonOptions {
  std::string storage, index, locks, config, element;
  std::string mode = "edit";
  double timeout_seconds = 0;
  bool as_json = false, quiet = false, verbose = false;
  std::uint64_t files_per_second = 0, bytes_per_second = 0;
};

enum class Needs : std::uint8_t { index, index_and_storage };

/// Adds them to a verb; what it needs is required. Every option may stand in the file that
/// --config names, too, or in its environment variable.
void add_common(CLI::App& verb, CommonOptions& options, Needs needs);

/// Of those, the ones that have no effect on a verb; they are taken, as scripts pass them to all.
void hide_options(CLI::App& verb, std::initializer_list<const char*> names);

/// Where progress and log lines go: a bar on a terminal, else lines on stderr.
class Console;

/// What is open for one verb. Members are closed in the reverse order.
struct Place {
  std::unique_ptr<Console> console;
  Deps deps;
  Call call;
  std::unique_ptr<StorageBackend> storage;  ///< null unless it was needed
  std::unique_ptr<MetadataStore> index;
  std::string element;                  ///< that was named, or that the index keeps
  std::unique_ptr<LockManager> locks;   ///< of operations
  std::unique_ptr<LockManager> claims;  ///< of files under change: in the index, as for everybody
  std::unique_ptr<CacheRebuildService> service;  ///< null without a storage

  Place();
  ~Place();
  Place(Place&&) noexcept;
  /// Empty when nobody looks: what is counted only for the time left is not counted then.
  [[nodiscard]] ProgressSink progress() const;
  /// Takes the bar away, before something else is printed.
  void end_progress() const;
};

/// A place with nothing open yet. The url is that of --index. Errors: invalid_argument.
Result<Place> begin_place(const CommonOptions& options, Url* index);
/// An index to look at: one that is not there is not made, since a mistyped address would be an
/// empty index. Errors: not_found, and those of the backend.
Result<std::unique_ptr<MetadataStore>> open_existing_index(const Backends& backends, const Url& url,
                                                           const Place& place);
/// The error of an index of one's own, with what makes it where it is merely not there.
Error advised(Error error);

enum class IfMissing : std::uint8_t { create, refuse };
/// Errors: not_found (an index that is to be refused), and those of the backends, each naming the
/// option.
Result<Place> open_place(const CommonOptions& options, Needs needs,
                         IfMissing if_missing = IfMissing::refuse);

}  // namespace artcache::cli
