// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <artcache/storage_name.hpp>
#include <atomic>
#include <chrono>
#include <future>
#include <map>
#include <set>
#include <thread>

#include "conformance/file_service_suite.hpp"
#include "core/attr/sidecar.hpp"
#include "support/gate.hpp"
#include "support/sample_entry.hpp"

using namespace artcache;
using namespace artcache::test;
using namespace std::chrono_literals;

namespace {

/// Locks that can only be renewed through a gate.
class GatedLocks final : public LockManager {
 public:
  GatedLocks(LockManager& inner, Gate& gate) : inner_(inner), gate_(gate) {}
  Result<Lease> try_acquire(const LockRequest& request, const Call& call) override {
    return inner_.try_acquire(request, call);
  }
  Result<RenewOutcome> renew(Lease& lease, std::string_view progress, const Call& call) override {
    gate_.pass();
    return inner_.renew(lease, progress, call);
  }
  Result<void> release(const Lease& lease, const Call& call) override {
    return inner_.release(lease, call);
  }
  Result<std::vector<LockHolder>> list(std::string_view element, const Call& call) override {
    return inner_.list(element, call);
  }
  Result<bool> force_break(std::string_view element, LockClass lock_class,
                           const Call& call) override {
    return inner_.force_break(element, lock_class, call);
  }

 private:
  LockManager& inner_;
  Gate& gate_;
};

/// What one thread was told to be done: the tag that each of its files had last.
using Written = std::map<FileId, std::string>;

/// Every second write changes a file that was uploaded some time before.
Written write_files(Element& e, int writes) {
  Written written;
  std::vector<FileId> ids;
  for (int n = 0; n < writes; ++n) {
    const std::string tag = "n" + std::to_string(n);
    if (n % 2 == 0) {
      UploadRequest request = Element::plan();
      request.tags = {tag};
      const auto row = e.upload(request, tag);
      if (row) written[ids.emplace_back(row->entry.id)] = tag;
      continue;
    }
    if (ids.empty()) continue;
    const FileId id = ids[static_cast<std::size_t>(n / 4) % ids.size()];
    UpdateRequest request;
    request.changes.tags = std::vector{tag};
    const auto row = e.files->update(id, request, {});
    written[id] = row ? tag : to_string(row.error());  // nobody else changes it: none may fail
  }
  return written;
}

void write_beside_rebuilds(Element& e, int writes_each) {
  std::vector<Written> written(8);
  std::atomic<std::size_t> running{written.size()};
  std::vector<std::thread> threads;
  for (Written& mine : written)
    threads.emplace_back([&] {
      mine = write_files(e, writes_each);
      --running;
    });
  CacheRebuildService rebuild(*e.storage, *e.index, *e.locks, {}, e.deps);
  int rebuilds = 0;
  for (; running > 0; ++rebuilds) {
    CHECK(rebuild.rebuild_full({}, {}).has_value());
    CHECK(rebuild.rebuild_incremental({.prune = Prune::yes}, {}).has_value());
  }
  for (auto& thread : threads) thread.join();
  CHECK(rebuilds > 0);
  const auto uploads = static_cast<std::size_t>((writes_each + 1) / 2);
  CHECK(e.head().count == uploads * written.size());
  for (const Written& mine : written) {
    CHECK(mine.size() == uploads);
    for (const auto& [id, tag] : mine)
      REQUIRE(good(e.files->metadata(id, {})).entry.tags == std::vector{tag});
  }
  CHECK(e.contradiction() == "");
}

}  // namespace

TEST_SUITE("files") {
  TEST_CASE("an uploaded file is found by id and by word, and reads back verified") {
    for_each_element([](Element& e) {
      const auto row = good(e.upload());
      CHECK(row.entry.file_size == kBytes.size());
      CHECK(row.entry.storage_path == storage_folder(*row.entry.id.minted_at()));
      const auto found = good(e.files->metadata(row.entry.id, {}));
      CHECK(found.entry == row.entry);
      CHECK(found.revision == row.revision);
      CHECK(found.hash == row.hash);
      CHECK(good(e.files->search({.query = "finance"}, {})).total == 1);
      CHECK(good(e.files->list({}, {})).total == 1);
      CHECK(good(e.content(row.entry.id, {.verify = Verify::yes})) == kBytes);
      CHECK(e.contradiction() == "");
    });
  }

  TEST_CASE("a range gives just these bytes, and one behind the end is refused") {
    for_each_element([](Element& e) {
      const FileId id = good(e.upload()).entry.id;
      CHECK(good(e.content(id, {.range = {5, 5}})) == kBytes.substr(5, 5));
      CHECK(good(e.content(id, {.range = {15, 500}})) == kBytes.substr(15));
      CHECK(e.content(id, {.range = {20, 1}}).error().code == Errc::invalid_argument);
      CHECK(e.content(id, {.range = {1, 2}, .verify = Verify::yes}).error().code ==
            Errc::invalid_argument);
    });
  }

  TEST_CASE("[G12] of a verified download with changed bytes the last piece never comes") {
    for_each_element([](Element& e) {
      const auto entry = good(e.upload()).entry;
      good(e.storage->put({.path = entry.data_path()}, "SOME bytes of a plan", {}));
      CHECK(good(e.content(entry.id)) == "SOME bytes of a plan");
      CHECK(e.content(entry.id, {.verify = Verify::yes}).error().code == Errc::corrupt);
      const auto verified = good(e.files->download(entry.id, {.verify = Verify::yes}, {}));
      std::array<std::byte, 15> most{};
      std::array<std::byte, 100> rest{};
      CHECK(good(verified->read(most, {})) == most.size());
      CHECK(verified->read(rest, {}).error().code == Errc::corrupt);
      CHECK(verified->read(rest, {}).error().code == Errc::corrupt);
      good(e.storage->put({.path = entry.data_path()}, "short", {}));
      CHECK(e.content(entry.id).error().code == Errc::corrupt);
      good(e.storage->remove(entry.data_path(), {}));
      CHECK(e.content(entry.id).error().code == Errc::not_found);
    });
  }

  TEST_CASE("an empty file is a file") {
    for_each_element([](Element& e) {
      const FileId id = good(e.upload(Element::plan(), "")).entry.id;
      CHECK(good(e.content(id, {.verify = Verify::yes})).empty());
      CHECK(e.contradiction() == "");
    });
  }

  TEST_CASE("bytes that are not those announced are refused, and nothing of them is left") {
    for_each_element([](Element& e) {
      UploadRequest request = Element::plan();
      request.checksum.emplace();
      CHECK(e.upload(request).error().code == Errc::invalid_argument);
      request = Element::plan();
      for (const std::uint64_t size : {kBytes.size() - 1, kBytes.size() + 1}) {
        request.size = size;
        CHECK(e.upload(request).error().code == Errc::invalid_argument);
      }
      CHECK(e.paths().empty());
      CHECK(e.head().count == 0);
      CHECK(good(e.index->intents({})).empty());
      request.size = kBytes.size();
      CHECK(e.upload(request).has_value());
    });
  }

  TEST_CASE("what would not fit into a sidecar is refused before a byte is read") {
    for_each_element([](Element& e) {
      UploadRequest request = Element::plan();
      request.description = std::string(5000, 'd');
      CHECK(e.upload(request).error().code == Errc::invalid_argument);
      request = Element::plan();
      request.original_filename.clear();
      CHECK(e.upload(request).error().code == Errc::invalid_argument);
      CHECK(e.faulty_storage->count(StorageOp::stage) == 0);
    });
  }

  TEST_CASE("a configured capacity is kept to by uploads of known and of unknown size") {
    for_each_element(
        [](Element& e) {
          CHECK(e.upload().has_value());
          CHECK(e.upload().error().code == Errc::no_space);
          UploadRequest request = Element::plan();
          request.size = kBytes.size();
          CHECK(e.upload(request).error().code == Errc::no_space);
          CHECK(e.upload(Element::plan(), "0123456789").has_value());
          CHECK(e.head().bytes == 30);
          CHECK(e.contradiction() == "");
        },
        {.capacity_bytes = 30});
  }

  TEST_CASE("an upload goes on while the index does not answer another one") {
    Element e({.capacity_bytes = 1000});
    good(e.upload());
    Gate gate;
    e.faulty_index->before_each_head([&] { gate.pass(); });
    gate.arm();
    std::thread other([&] { CHECK(e.upload().has_value()); });
    gate.wait_until_met();
    CHECK(e.upload().has_value());
    gate.open();
    other.join();
    CHECK(e.head().count == 3);
  }

  TEST_CASE("an upload goes on while the lease of all writers is being renewed") {
    Element e;
    Gate gate;
    GatedLocks locks(*e.locks, gate);
    FileService files(*e.faulty_storage, *e.faulty_index, locks, e.settings, e.deps);
    const auto upload = [&] {
      MemorySource source(kBytes);
      return files.upload(Element::plan(), source, {});
    };
    good(upload());
    e.clock.advance(std::chrono::minutes(5));  // due, and far from lost
    gate.arm();
    std::thread other([&] { CHECK(upload().has_value()); });
    gate.wait_until_met();
    CHECK(upload().has_value());
    gate.open();
    other.join();
    CHECK(e.head().count == 3);
  }

  TEST_CASE("an upload that comes while a store is being recovered ends with its call") {
    Element e;
    Gate gate;
    e.faulty_storage->before_each([&](StorageOp op, std::string_view) {
      if (op == StorageOp::sync) gate.pass();
    });
    good(e.index->add_intent({sample_id(1), "a/b", Intent::Operation::upload, e.clock.now()}, {}));
    e.restart();
    gate.arm();
    std::thread recovery([&] { CHECK(e.files->recover({}).has_value()); });
    gate.wait_until_met();
    const auto upload_by = [&](const Call& call) {
      return std::async(std::launch::async, [&e, call] {
        MemorySource source(kBytes);
        return e.files->upload(Element::plan(), source, call);
      });
    };
    std::stop_source stop;
    Call stoppable;
    stoppable.stop = stop.get_token();
    auto stopped = upload_by(stoppable), late = upload_by(Call().within(1s, e.clock));
    stop.request_stop();
    e.clock.advance(2s);
    // Else they would wait as long as the storage does.
    CHECK(stopped.wait_for(1min) == std::future_status::ready);
    CHECK(late.wait_for(1min) == std::future_status::ready);
    gate.open();
    recovery.join();
    CHECK(stopped.get().error().code == Errc::cancelled);
    CHECK(late.get().error().code == Errc::timed_out);
    CHECK(e.upload().has_value());
    e.settle(*e.files);
    CHECK(e.contradiction() == "");
  }

  TEST_CASE("a long upload of unknown size asks for room seldom, and keeps to the capacity") {
    Element e({.capacity_bytes = 6'000'000});
    std::size_t asked = 0;
    e.faulty_index->before_each_head([&] { ++asked; });
    good(e.upload(Element::plan(), std::string(5'000'000, 'x')));  // 20 pieces
    CHECK(asked < 12);
    CHECK(e.upload(Element::plan(), std::string(1'500'000, 'x')).error().code == Errc::no_space);
    good(e.upload(Element::plan(), std::string(999'999, 'x')));
    CHECK(e.head().bytes == 5'999'999);
  }

  TEST_CASE("a mode refuses what it does not allow") {
    for_each_element([](Element& e) {
      const FileId id = good(e.upload()).entry.id;
      e.settings.mode = ElementMode::rw;
      e.restart();
      CHECK(e.upload().has_value());
      CHECK(e.files->update(id, {}, {}).has_value());
      CHECK(e.files->remove(id, {}).error().code == Errc::invalid_argument);
      for (const ElementMode mode : {ElementMode::ro, ElementMode::ar}) {
        e.settings.mode = mode;
        e.restart();
        const auto refused = e.upload();
        CHECK(refused.error().code == Errc::invalid_argument);
        CHECK(refused.error().message.find("not allowed in") != std::string::npos);
        CHECK(e.files->update(id, {}, {}).error().code == Errc::invalid_argument);
        CHECK(e.files->remove(id, {}).error().code == Errc::invalid_argument);
        CHECK(good(e.content(id)) == kBytes);
      }
    });
  }

  TEST_CASE("an upload under an id of its own may be repeated, and another file under it may not") {
    for_each_element([](Element& e) {
      UploadRequest request = Element::plan();
      request.id = FileId::mint(e.clock);
      const auto first = good(e.upload(request));
      e.clock.advance(std::chrono::seconds(5));
      CHECK(good(e.upload(request)).revision == first.revision);
      CHECK(e.upload(request, "other bytes").error().code == Errc::conflict);
      CHECK(e.paths().size() == 2);
      CHECK(e.contradiction() == "");
    });
  }

  TEST_CASE("an upload under an id that is said to be new looks for nobody who has it") {
    for_each_element([](Element& e) {
      UploadRequest request = Element::plan();
      request.id = FileId::mint(e.clock);
      request.id_is_new = true;
      const auto looked = e.faulty_storage->count(StorageOp::stat);
      const auto row = good(e.upload(request));
      CHECK(e.faulty_storage->count(StorageOp::stat) == looked);
      CHECK(row.entry.id == *request.id);
      CHECK(e.contradiction() == "");
    });
  }

  TEST_CASE("an upload under an id of its own reads a folder only when the index may be wrong") {
    for_each_element([](Element& e) {
      UploadRequest request = Element::plan();
      request.id = FileId::mint(e.clock);
      good(e.index->set_suspect("", 0, {}));
      const auto listed = e.faulty_storage->count(StorageOp::list);
      good(e.upload(request));
      CHECK(e.faulty_storage->count(StorageOp::list) == listed);
      EntryChange change;
      change.kind = EntryChange::Kind::remove;
      change.id = *request.id;
      good(e.index->apply({.changes = {&change, 1}}, {}));
      good(e.index->set_suspect("changed by hand", 0, {}));
      CHECK(e.upload(request, "other bytes").error().code == Errc::conflict);
      good(e.upload(request));
      CHECK(e.paths().size() == 2);
    });
  }

  TEST_CASE("an update changes what it names and keeps all else, unknown members too") {
    for_each_element([](Element& e) {
      const auto row = good(e.upload());
      const std::string sidecar = row.entry.data_path() + std::string(kSidecarSuffix);
      UpdateRequest request;
      request.changes.description = std::optional<std::string>("Plan für 2026");
      request.changes.tags = {"budget", "plan"};
      request.changes.retention_policy = std::optional<std::string>("temporary");
      request.changes.custom_attributes = R"({"pages":12})";
      request.base = row.revision;
      const auto changed = good(e.files->update(row.entry.id, request, {}));
      CHECK(changed.entry.description == "Plan für 2026");
      CHECK(changed.entry.custom_attributes == R"({"pages":12})");
      CHECK(changed.entry.updated_at > row.entry.updated_at);
      CHECK(changed.entry.checksum == row.entry.checksum);
      CHECK(good(e.files->metadata(row.entry.id, {})).entry == changed.entry);
      CHECK(e.files->update(row.entry.id, request, {}).error().code == Errc::conflict);
      UpdateRequest back;
      back.changes.description.emplace();
      back.changes.custom_attributes = "{}";
      const auto again = good(e.files->update(row.entry.id, back, {}));
      CHECK_FALSE(again.entry.description.has_value());
      CHECK(again.entry.custom_attributes.empty());
      CHECK(again.entry.retention_policy == "temporary");
      CHECK(good(e.storage->stat(sidecar, {})).has_value());
      CHECK(e.contradiction() == "");
    });
  }

  TEST_CASE("a bad update changes nothing") {
    for_each_element([](Element& e) {
      const auto row = good(e.upload());
      UpdateRequest request;
      request.changes.metadata = "no JSON";
      CHECK(e.files->update(row.entry.id, request, {}).error().code == Errc::invalid_argument);
      CHECK(good(e.files->metadata(row.entry.id, {})).revision == row.revision);
      CHECK(good(e.index->intents({})).empty());
      CHECK(e.contradiction() == "");
    });
  }

  TEST_CASE("a removed file is gone with its data, and a second removal does not find it") {
    for_each_element([](Element& e) {
      const FileId id = good(e.upload()).entry.id;
      good(e.files->remove(id, {}));
      CHECK(e.paths().empty());
      CHECK(e.head().count == 0);
      CHECK(e.files->metadata(id, {}).error().code == Errc::not_found);
      CHECK(e.files->remove(id, {}).error().code == Errc::not_found);
      CHECK(e.files->update(id, {}, {}).error().code == Errc::not_found);
      CHECK(good(e.index->intents({})).empty());
    });
  }

  TEST_CASE("a file that has changed since it was seen is not removed as it was seen") {
    for_each_element([](Element& e) {
      const auto row = good(e.upload());
      const FileId id = row.entry.id;
      const RemoveRequest seen{.base = row.revision};
      UpdateRequest request;
      request.changes.version = std::optional<std::string>("2");
      const auto changed = good(e.files->update(id, request, {}));
      CHECK(e.files->remove(id, seen, {}).error().code == Errc::conflict);
      // And by other hands, which no index has seen.
      const std::string sidecar = row.entry.data_path() + std::string(kSidecarSuffix);
      std::string text;
      const std::string_view path = sidecar;
      const auto keep = [&](std::size_t, const Result<SidecarBytes>& read) -> Result<void> {
        text = good(read).bytes;
        return {};
      };
      good(e.storage->read_sidecars({&path, 1}, 1 << 20, keep, {}));
      const std::string edited = std::string(text).replace(text.find("\"2\""), 3, "\"3\"");
      good(e.storage->put({.path = sidecar}, edited, {}));
      const RemoveRequest later{.base = changed.revision};
      CHECK(e.files->remove(id, later, {}).error().code == Errc::conflict);
      CHECK(good(e.index->intents({})).empty());
      CHECK(e.paths().size() == 2);
      good(e.storage->put({.path = sidecar}, text, {}));
      good(e.files->remove(id, later, {}));
      CHECK(e.paths().empty());
      CHECK(e.files->remove(id, later, {}).error().code == Errc::not_found);
    });
  }

  TEST_CASE("a file that the index has lost is found in the folder that its id tells") {
    for_each_element([](Element& e) {
      const auto row = good(e.upload());
      EntryChange change;
      change.kind = EntryChange::Kind::remove;
      change.id = row.entry.id;
      good(e.index->apply({.changes = {&change, 1}}, {}));
      CHECK(good(e.files->metadata(row.entry.id, {})).entry == row.entry);
      CHECK(good(e.content(row.entry.id)) == kBytes);
      CHECK(e.contradiction() == "");
    });
  }

  TEST_CASE("a file whose sidecar cannot be read is corrupt and not a file that is not there") {
    for_each_element([](Element& e) {
      const FileId id = FileId::mint(e.clock);
      const std::string path =
          storage_folder(e.clock.now()) + storage_filename("a.txt", "u", e.clock.now(), id);
      good(e.storage->put({.path = path + std::string(kSidecarSuffix)}, "{", {}));
      CHECK(e.files->metadata(id, {}).error().code == Errc::corrupt);
      CHECK(e.files->remove(id, {}).error().code == Errc::corrupt);
      CHECK(e.paths().size() == 1);
    });
  }

  TEST_CASE("an id that tells no folder is not found only while the index is trusted") {
    for_each_element([](Element& e) {
      const FileId id = good(FileId::parse("0d1c1f5e-6d0a-4c8b-9a53-3f8d2b6f7a10"));
      good(e.index->set_suspect("", 0, {}));
      CHECK(e.files->metadata(id, {}).error().code == Errc::not_found);
      good(e.index->set_suspect("truncated by hand", 0, {}));
      CHECK(e.files->metadata(id, {}).error().code == Errc::unavailable);
      CHECK(e.files->metadata(FileId::mint(e.clock), {}).error().code == Errc::not_found);
    });
  }

  TEST_CASE("[G8] an expired entry is answered at once and offered for a refresh") {
    std::vector<FileId> offered;
    FileSettings settings;
    settings.refresh = [&](const FileId& id) {
      offered.push_back(id);
      return false;
    };
    for_each_element(
        [&](Element& e) {
          offered.clear();
          const FileId id = good(e.upload()).entry.id;
          good(e.files->metadata(id, {}));
          CHECK(offered.empty());
          e.clock.advance(std::chrono::hours(25));
          CHECK(good(e.files->metadata(id, {})).freshness.expired(e.clock.now()));
          CHECK(good(e.content(id)) == kBytes);
          CHECK(offered == std::vector{id, id});
        },
        settings);
  }

  TEST_CASE("an update of a file whose sidecar is gone says so, and so does the index then") {
    for_each_element([](Element& e) {
      const auto row = good(e.upload());
      good(e.storage->remove(row.entry.data_path() + std::string(kSidecarSuffix), {}));
      CHECK(e.files->update(row.entry.id, {}, {}).error().code == Errc::not_found);
      CHECK(e.head().count == 0);
    });
  }

  TEST_CASE("[G2] an entry that came back since its sidecar was missed is not taken away") {
    for_each_element([](Element& e) {
      const FileEntry entry = good(e.upload()).entry;
      const std::string sidecar = entry.data_path() + std::string(kSidecarSuffix);
      good(e.storage->remove(sidecar, {}));
      int missed = 0;  // by the update, and by what then makes the index follow
      e.faulty_storage->before_each([&](StorageOp op, std::string_view path) {
        if (op != StorageOp::sidecar || path != sidecar || ++missed != 2) return;
        FileEntry back = entry;
        back.description = "it came back";
        good(e.storage->put({.path = sidecar}, good(attr::encode(back)), {}));
        const EntryChange change = put_of(std::move(back));
        good(e.index->apply({.changes = {&change, 1}}, {}));
      });
      CHECK(e.files->update(entry.id, {}, {}).error().code == Errc::not_found);
      e.faulty_storage->before_each({});
      CHECK(missed >= 2);
      REQUIRE(good(e.index->find(entry.id, {})));
      CHECK(good(e.index->find(entry.id, {}))->entry.description == "it came back");
      CHECK(e.contradiction() == "");
    });
  }

  TEST_CASE("an element with the longest name there is changes its files") {
    FileSettings settings;
    settings.element = std::string(64, 'x');
    for_each_element(
        [&](Element& e) {
          CHECK(good(settle_element(*e.index, settings.element, {})) == settings.element);
          const FileId id = good(e.upload()).entry.id;
          CHECK(e.files->update(id, {}, {}).has_value());
          CHECK(e.files->remove(id, {}).has_value());
        },
        settings);
  }

  TEST_CASE("no element gets a name whose locks are those of files") {
    for_each_element([](Element& e) {
      for (const std::string& name :
           {std::string("files.se-01"), std::string("file.1"), std::string(65, 'x'), std::string()})
        CHECK(rename_element(*e.index, name, {}).error().code == Errc::invalid_argument);
      good(rename_element(*e.index, "files", {}));
      CHECK(good(settle_element(*e.index, "", {})) == "files");
    });
  }

  TEST_CASE("a file is one writer's at a time, also across services") {
    for_each_element([](Element& e) {
      const FileId id = good(e.upload()).entry.id;
      LockRequest request;
      request.element = "file." + to_string(id);
      const Lease other = good(e.locks->try_acquire(request, {}));
      CHECK(e.files->update(id, {}, {}).error().code == Errc::busy);
      CHECK(e.files->remove(id, {}).error().code == Errc::busy);
      CHECK(e.files->metadata(id, {}).has_value());
      good(e.locks->release(other, {}));
      CHECK(e.files->update(id, {}, {}).has_value());
    });
  }

  TEST_CASE("of many updates at once of one file none is lost") {
    for_each_element([](Element& e) {
      const FileId id = good(e.upload()).entry.id;
      const auto add = [&](FileChanges changes) {
        CHECK(e.files->update(id, {.changes = std::move(changes)}, {}).has_value());
      };
      std::vector<std::thread> threads;
      threads.emplace_back([&] { add({.description = std::optional<std::string>("d")}); });
      threads.emplace_back([&] { add({.version = std::optional<std::string>("7")}); });
      threads.emplace_back([&] { add({.tags = std::vector<std::string>{"t"}}); });
      threads.emplace_back([&] { add({.ttl_days = std::optional<std::int64_t>(3)}); });
      for (auto& thread : threads) thread.join();
      const auto entry = good(e.files->metadata(id, {})).entry;
      CHECK(entry.description == "d");
      CHECK(entry.version == "7");
      CHECK(entry.tags == std::vector<std::string>{"t"});
      CHECK(entry.ttl_days == 3);
      CHECK(e.contradiction() == "");
    });
  }

  TEST_CASE("[G2] of ten thousand writes by eight threads beside rebuilds none is lost or undone") {
    Element e;
    write_beside_rebuilds(e, Quick().on_server() ? 100 : 1250);
  }

  TEST_CASE("[G2] writes to files and SQLite beside rebuilds are neither lost nor undone") {
    Element e("file", "sqlite");
    write_beside_rebuilds(e, 50);
  }
}
