// SPDX-License-Identifier: Apache-2.0
// What ten times as many files cost, and the memory that each operation of the program takes.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <artcache/backends.hpp>
#include <artcache/cache_rebuild_service.hpp>
#include <artcache/lock_manager.hpp>
#include <artcache/metadata_store.hpp>
#include <filesystem>
#include <thread>

#include "bench/bench.hpp"
#include "bench/sample_store.hpp"

namespace artcache::bench {
namespace {

constexpr int kRounds = 3;
constexpr std::array<const char*, 5> kSuffixes{"", "-wal", "-shm", "-owners", "-peers"};

void remove_index(const std::string& path) {
  for (const char* suffix : kSuffixes) std::filesystem::remove(path + suffix);
}

// --- Cost ---------------------------------------------------------------------------------------

struct Costs {
  double empty = 1e100, unchanged = 1e100, incremental = 1e100, check = 1e100;
};

class Index {
 public:
  Index(const std::string& path, StorageBackend& storage)
      : store_(must(Backends::builtin().open_index(must(Url::parse("sqlite://" + path)), {}, {}))),
        locks_(must(make_lock_manager(*store_->locks(), {}))),
        service_(storage, *store_, *locks_, RebuildSettings{}, Deps{}) {}
  CacheRebuildService& service() { return service_; }

 private:
  std::unique_ptr<MetadataStore> store_;
  std::unique_ptr<LockManager> locks_;
  CacheRebuildService service_;
};

Costs costs_of(const Options& options, std::uint64_t files) {
  const SampleStore store(options.folder, files, SampleStore::Data::with);
  const std::string path = options.folder + "/artcache-bench-scale.db";
  Costs costs;
  const auto take_least = [&](double& least, const std::function<void()>& work) {
    store.warm();
    least = std::min(least, time_of(work));
  };
  for (int round = 0; round < 2; ++round) {
    remove_index(path);
    Index index(path, store.storage());
    take_least(costs.empty, [&] { must(index.service().rebuild_full({}, {})); });
  }
  Index index(path, store.storage());
  // What was read within two seconds of its last change is read again: let it settle.
  std::this_thread::sleep_for(std::chrono::milliseconds(2200));
  must(index.service().rebuild_incremental({}, {}));
  for (int round = 0; round < kRounds; ++round) {
    take_least(costs.unchanged, [&] { must(index.service().rebuild_full({}, {})); });
    take_least(costs.incremental, [&] { must(index.service().rebuild_incremental({}, {})); });
    take_least(costs.check, [&] { must(index.service().check_consistency({}, {})); });
  }
  remove_index(path);
  return costs;
}

// --- Memory -------------------------------------------------------------------------------------

/// The program that stands beside this one.
std::string program() {
  const auto self = std::filesystem::read_symlink("/proc/self/exe");
  std::string path = self.parent_path() / "artcache";
  if (!std::filesystem::exists(path)) give_up("build artcache_program, too: there is no " + path);
  return path;
}

/// Peak memory of one run of it. Its exit code is what its verb says, not what is measured; a run
/// that was killed is.
double memory_of(const std::vector<std::string>& arguments) {
  return peak_memory_of([&] {
    std::vector<char*> text;
    for (const std::string& argument : arguments)
      text.push_back(const_cast<char*>(argument.data()));
    text.push_back(nullptr);
    const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    ::dup2(nowhere, STDOUT_FILENO);
    ::dup2(nowhere, STDERR_FILENO);
    ::execv(text.front(), text.data());
    give_up("cannot run " + arguments.front());
  });
}

struct Operation {
  std::string name;
  std::vector<std::string> arguments;
};

std::vector<Operation> operations(const std::string& index, const std::string& whole,
                                  const std::string& bare) {
  const std::string of = "--index=sqlite://" + index, in = "--storage=file://" + whole;
  return {
      {"a full rebuild of an empty index", {"rebuild", of, in}},
      {"a full rebuild without change", {"rebuild", of, in}},
      {"an incremental rebuild", {"rebuild", "--incremental", of, in}},
      {"an incremental rebuild that prunes", {"rebuild", "--incremental", "--prune", of, in}},
      {"a check", {"check", of, in}},
      {"a check of all data within a budget", {"check", "--data", "--bytes-per-second=4G", of, in}},
      {"a repair, only told", {"repair", "--dry-run", of, in}},
      {"a repair from the index, only told", {"repair", "--from=index", "--dry-run", of, in}},
      {"a cleanup", {"cleanup", of, in}},
      {"a list of all", {"list", of}},
      {"a search", {"search", "report", "--limit=1000", of}},
      {"doctor", {"doctor", of}},
      {"a check that finds all data files gone", {"check", of, "--storage=file://" + bare}},
      {"a prune of all", {"rebuild", "--incremental", "--prune", of, "--storage=mem:"}},
  };
}

}  // namespace

std::vector<Figure> scale_figures(const Options& options) {
  const std::uint64_t few = options.files / 10;
  const Costs small = costs_of(options, few), large = costs_of(options, options.files);
  std::vector<Figure> figures;
  const auto add = [&](std::string name, double Costs::*cost) {
    figures.push_back({.group = "scale",
                       .name = std::move(name),
                       .value = large.*cost,
                       .floor = small.*cost,
                       .unit = "s",
                       .floor_name = "the same with " + std::to_string(few) + " files",
                       .must = 12,
                       .aim = 10.5});
  };
  add("full rebuild of an empty index", &Costs::empty);
  add("full rebuild without change", &Costs::unchanged);
  add("incremental rebuild without change", &Costs::incremental);
  add("check", &Costs::check);
  return figures;
}

std::vector<Figure> memory_figures(const Options& options) {
  const std::string artcache = program();
  const SampleStore whole(options.folder, options.files, SampleStore::Data::with);
  const SampleStore bare(options.folder, options.files);
  const std::string index = options.folder + "/artcache-bench-memory.db";
  remove_index(index);
  std::vector<Figure> figures;
  const auto add = [&](std::string name, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), artcache);
    figures.push_back({.group = "memory",
                       .name = std::move(name),
                       .value = memory_of(arguments),
                       .unit = "MiB",
                       .must = 256,
                       .aim = 96});
  };
  for (Operation& each : operations(index, whole.path(), bare.path()))
    add(std::move(each.name), std::move(each.arguments));
  const std::string made = options.folder + "/artcache-bench-made";
  add("a sample store in the making", {"sample", made, std::to_string(options.files), "--no-data"});
  std::filesystem::remove_all(made);
  remove_index(index);
  return figures;
}

}  // namespace artcache::bench
