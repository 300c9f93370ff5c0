// SPDX-License-Identifier: Apache-2.0
// Makes the index of a store, checks it, mends what is broken, and follows the store as it changes.
#include <artcache/backends.hpp>
#include <artcache/cache_rebuild_service.hpp>
#include <artcache/lock_manager.hpp>
#include <artcache/metadata_store.hpp>
#include <artcache/storage_backend.hpp>
#include <cstdio>

using namespace artcache;
using namespace std::chrono_literals;

namespace {

std::string path_of(int number) { return "2026/03/scan_" + std::to_string(number) + ".txt"; }
std::string sidecar_of(int number) { return path_of(number) + std::string(kSidecarSuffix); }

std::string text_of_sidecar(int number) {
  return R"({
  "file_id": "0195531c-a0e4-7c3d-9f21-00000000000)" +
         std::to_string(number) + R"(",
  "original_filename": "scan.txt",
  "storage_path": ")" +
         path_of(number) + R"(",
  "file_size": 6,
  "checksum": "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
  "created_at": "2026-03-02T10:11:12Z"
})";
}

// What another program does, which knows nothing of an index.
Result<void> fill(StorageBackend& storage, const Call& call) {
  for (int number = 1; number <= 3; ++number) {
    const auto data = storage.put({.path = path_of(number)}, "hello\n", call);
    if (!data) return data.error();
    const auto sidecar = storage.put({.path = sidecar_of(number)}, text_of_sidecar(number), call);
    if (!sidecar) return sidecar.error();
  }
  return {};
}

// snippet
void show(const RunProgress& progress) {  // a few times a second
  std::printf("  %s: %llu of %llu\n", std::string(progress.phase).c_str(),
              static_cast<unsigned long long>(progress.processed),
              static_cast<unsigned long long>(progress.total));
}

// Readers and writers of the index go on meanwhile. A run that is cut short is gone on with by the
// next one; one beside it, in whatever process, is busy.
Result<void> rebuild(CacheRebuildService& service, const Call& call) {
  const auto report = service.rebuild_full({.progress = show}, call);
  if (!report) return report.error();
  std::printf("rebuilt: %llu sidecars, %llu entries\n",
              static_cast<unsigned long long>(report->statistics.attr_files_scanned),
              static_cast<unsigned long long>(report->statistics.cache_entries_after));
  // What was not seen, such as a folder that may not be listed, says nothing of its entries.
  if (!report->verdict.complete()) std::printf("not seen: %s\n", report->verdict.not_seen.c_str());
  return {};
}

Result<void> check_and_repair(CacheRebuildService& service, const Call& call) {
  const auto check = service.check_consistency({.progress = show}, call);
  if (!check) return check.error();
  for (const Finding& finding : check->findings)
    std::printf("%s: %s\n", std::string(to_string(finding.kind)).c_str(), finding.path.c_str());
  if (check->is_consistent()) return {};
  // From the index: a sidecar that was lost is written anew where its data file still stands. The
  // usual `storage` would remove the entry, and with it the last that is known of the file.
  const auto repair = service.repair({.from = RepairFrom::index, .progress = show}, call);
  if (!repair) return repair.error();
  std::printf("wrote %llu sidecars; %llu findings are left\n",
              static_cast<unsigned long long>(repair->sidecars_written),
              static_cast<unsigned long long>(repair->left_total));
  return {};
}

// For a thread of its own, until `call` is told to stop, which is a success.
Result<void> follow(CacheRebuildService& service, const WatchSink& tell, const Call& call) {
  // Where the storage tells of no changes, as s3:// does not, it is compared so often.
  return service.watch({.rescan_every = 1s, .on_event = tell}, call);
}
// end of snippet

Result<void> use(CacheRebuildService& service, StorageBackend& storage, const Call& call) {
  if (auto filled = fill(storage, call); !filled) return filled;
  if (auto rebuilt = rebuild(service, call); !rebuilt) return rebuilt;

  // Somebody removes a sidecar by hand.
  if (const auto removed = storage.remove(sidecar_of(2), call); !removed) return removed.error();
  if (auto mended = check_and_repair(service, call); !mended) return mended;
  if (auto again = check_and_repair(service, call); !again) return again;

  std::stop_source enough;
  Call watching = call;
  watching.stop = enough.get_token();
  Result<bool> gone = false;
  const auto tell = [&](const WatchEvent& event) {
    std::printf("%s: %llu new, %llu changed, %llu removed\n",
                std::string(to_string(event.kind)).c_str(),
                static_cast<unsigned long long>(event.inserted),
                static_cast<unsigned long long>(event.changed),
                static_cast<unsigned long long>(event.removed));
    const bool compared = event.kind == WatchEvent::Kind::rescanned;  // so changes are told
    if (compared && gone && !*gone) gone = storage.remove(sidecar_of(3), call);
    if (event.removed > 0 || !gone) enough.request_stop();
  };
  if (auto followed = follow(service, tell, watching); !followed) return followed;
  if (!gone) return gone.error();
  return call.check("watch");  // timed out: it was not told of the change
}

Result<void> run(const char* storage_address, const char* index_address) {
  const Call call = Call{}.within(30s);
  const Backends backends = Backends::builtin();
  const auto storage_url = Url::parse(storage_address), index_url = Url::parse(index_address);
  if (!storage_url) return storage_url.error();
  if (!index_url) return index_url.error();
  const auto storage = backends.open_storage(*storage_url, {}, call);
  if (!storage) return storage.error();
  const auto index = backends.open_index(*index_url, {}, call);
  if (!index) return index.error();
  const auto locks = make_lock_manager(*(*index)->locks(), {});
  if (!locks) return locks.error();

  CacheRebuildService service(**storage, **index, **locks, {.element = "se-01"}, {});
  return use(service, **storage, call);
}

}  // namespace

int main(int argc, char** argv) {
  const auto done = run(argc > 1 ? argv[1] : "mem:", argc > 2 ? argv[2] : "mem:");
  if (done) return 0;
  std::fprintf(stderr, "%s\n", to_string(done.error()).c_str());
  return exit_code(done.error().code);
}
