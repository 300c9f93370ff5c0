// SPDX-License-Identifier: Apache-2.0
// Sidecars that were edited to bear another id, and several of one id.
#include <doctest/doctest.h>

#include <utility>

#include "conformance/file_service_suite.hpp"
#include "core/attr/sidecar.hpp"
#include "support/sample_entry.hpp"

using namespace artcache;
using namespace artcache::test;

namespace {

/// The sidecar of a file is edited so that it tells of another one, which is returned.
FileId tell_of_another(Element& e, const FileEntry& entry) {
  FileEntry other = entry;
  other.id = FileId::mint(e.clock);
  good(e.storage->put({.path = entry.data_path() + std::string(kSidecarSuffix)},
                      good(attr::encode(other)), {}));
  return other.id;
}

/// Another sidecar of the file, with its own data, tells of it as it was a minute before.
FileEntry copy_elsewhere(Element& e, const FileEntry& entry) {
  FileEntry older = entry;
  older.updated_at = older.updated_at - std::chrono::minutes(1);
  const std::string copy = "elsewhere/copy.txt";
  good(e.storage->put({.path = copy}, kBytes, {}));
  good(e.storage->put({.path = copy + std::string(kSidecarSuffix)}, good(attr::encode(older)), {}));
  return older;
}

/// A writer was killed in the middle of a change.
void leave(Element& e, const FileEntry& entry, Intent::Operation operation) {
  good(e.index->add_intent({.id = entry.id,
                            .path = entry.data_path(),
                            .operation = operation,
                            .begun_at = e.clock.now()},
                           {}));
  e.restart();
}

void rebuild(Element& e) {
  good(CacheRebuildService(*e.storage, *e.index, *e.locks, {}, e.deps).rebuild_full({}, {}));
}

}  // namespace

TEST_SUITE("files.ids") {
  TEST_CASE("[G2] what is settled leaves no entry whose sidecar tells of another file") {
    for_each_element([](Element& e) {
      const FileEntry entry = good(e.upload()).entry;
      const FileId other = tell_of_another(e, entry);
      leave(e, entry, Intent::Operation::update);
      CHECK(e.settle(*e.files).completed == 1);
      CHECK_FALSE(good(e.index->find(entry.id, {})).has_value());
      CHECK(good(e.index->find(other, {})).has_value());
      CHECK(e.contradiction() == "");
    });
  }

  TEST_CASE(
      "[G2] another sidecar takes the place of one that is settled and tells of another file") {
    for_each_element([](Element& e) {
      const FileEntry entry = good(e.upload()).entry;
      const FileEntry older = copy_elsewhere(e, entry);
      rebuild(e);
      REQUIRE(good(e.index->find(entry.id, {}))->entry == entry);
      const FileId other = tell_of_another(e, entry);
      leave(e, entry, Intent::Operation::update);
      CHECK(e.settle(*e.files).completed == 1);
      REQUIRE(good(e.index->find(entry.id, {})).has_value());
      CHECK(good(e.index->find(entry.id, {}))->entry == older);
      CHECK(good(e.index->find(other, {})).has_value());
      CHECK(e.contradiction() == "");
    });
  }

  TEST_CASE(
      "[G2] an entry goes whose sidecar was read for the id in its name, and tells of a third") {
    for_each_element([](Element& e) {
      const FileEntry entry = good(e.upload()).entry;
      const FileId second = tell_of_another(e, entry);
      rebuild(e);
      REQUIRE(good(e.index->find(second, {})).has_value());
      const FileId third = tell_of_another(e, entry);
      CHECK(e.files->metadata(entry.id, {}).error().code == Errc::not_found);
      CHECK_FALSE(good(e.index->find(second, {})).has_value());
      CHECK(good(e.index->find(third, {})).has_value());
      CHECK(e.contradiction() == "");
    });
  }

  TEST_CASE("[G2] what a sidecar told of that a removal took away goes when that is settled") {
    for_each_element([](Element& e) {
      const FileEntry entry = good(e.upload()).entry;
      const FileId other = tell_of_another(e, entry);
      rebuild(e);
      REQUIRE(good(e.index->find(other, {})).has_value());
      good(e.storage->remove(entry.data_path() + std::string(kSidecarSuffix), {}));
      leave(e, entry, Intent::Operation::remove);
      CHECK(e.settle(*e.files).undone == 1);
      CHECK_FALSE(good(e.index->find(other, {})).has_value());
      CHECK(e.contradiction() == "");
      CHECK(e.paths().empty());
    });
  }

  TEST_CASE("[G2] a sidecar that is settled in pieces leaves nothing of what it told of before") {
    for (const bool removed : {false, true})
      for (std::size_t n = 1;; ++n) {
        INFO("removed " << removed << ", write " << n);
        REQUIRE(n < 20);
        Element e;
        const FileEntry entry = good(e.upload()).entry;
        const FileId second = tell_of_another(e, entry);
        rebuild(e);
        REQUIRE(good(e.index->find(second, {})).has_value());
        const FileId third = tell_of_another(e, entry);
        if (removed) good(e.storage->remove(entry.data_path() + std::string(kSidecarSuffix), {}));
        leave(e, entry, removed ? Intent::Operation::remove : Intent::Operation::update);
        const std::size_t before = e.faulty_index->writes();
        e.faulty_index->fail({Errc::unavailable, "cut"}, n);
        e.settle(*e.files);
        const bool cut = e.faulty_index->writes() - before >= n;
        CHECK(e.settle(*e.files).left.empty());
        CHECK_FALSE(good(e.index->find(second, {})).has_value());
        CHECK(good(e.index->find(third, {})).has_value() != removed);
        CHECK(e.contradiction() == "");
        if (!cut) break;
      }
  }

  TEST_CASE(
      "[G2] what a comparison puts back of a sidecar while that is settled goes all the same") {
    for (const bool removed : {false, true}) {
      INFO("removed " << removed);
      Element e;
      const FileEntry entry = good(e.upload()).entry;
      const FileId second = tell_of_another(e, entry);
      rebuild(e);
      const FileEntry told = good(e.index->find(second, {}))->entry;
      const FileId third = tell_of_another(e, entry);
      if (removed) good(e.storage->remove(entry.data_path() + std::string(kSidecarSuffix), {}));
      leave(e, entry, removed ? Intent::Operation::remove : Intent::Operation::update);
      bool done = false;
      e.faulty_index->before_each([&] {
        if (std::exchange(done, true)) return;
        FileEntry late = told;
        late.description = "read before";
        const EntryChange change = put_of(std::move(late));
        good(e.index->apply({.changes = {&change, 1}}, {}));
      });
      CHECK(e.settle(*e.files).left.empty());
      e.faulty_index->before_each({});
      CHECK_FALSE(good(e.index->find(second, {})).has_value());
      CHECK(good(e.index->find(third, {})).has_value() != removed);
      CHECK(e.contradiction() == "");
    }
  }

  TEST_CASE("[G2] another sidecar of a file takes the place of one whose removal is settled") {
    for_each_element([](Element& e) {
      const FileEntry entry = good(e.upload()).entry;
      const FileEntry older = copy_elsewhere(e, entry);
      rebuild(e);
      good(e.storage->remove(entry.data_path() + std::string(kSidecarSuffix), {}));
      leave(e, entry, Intent::Operation::remove);
      CHECK(e.settle(*e.files).left.empty());
      REQUIRE(good(e.index->find(entry.id, {})).has_value());
      CHECK(good(e.index->find(entry.id, {}))->entry == older);
      CHECK(e.contradiction() == "");
    });
  }

  TEST_CASE("[G2] an entry that is put back while the other of its sidecar is taken in stays") {
    for_each_element([](Element& e) {
      const FileEntry entry = good(e.upload()).entry;
      const FileId other = tell_of_another(e, entry);
      leave(e, entry, Intent::Operation::update);
      bool done = false;
      e.faulty_index->before_each([&] {
        if (std::exchange(done, true)) return;
        FileEntry back = entry;
        back.description = "it came back";
        good(e.storage->put({.path = entry.data_path() + std::string(kSidecarSuffix)},
                            good(attr::encode(back)), {}));
        const EntryChange change = put_of(std::move(back));
        good(e.index->apply({.changes = {&change, 1}}, {}));
      });
      CHECK(e.settle(*e.files).completed == 1);
      e.faulty_index->before_each({});
      REQUIRE(good(e.index->find(entry.id, {})).has_value());
      CHECK(good(e.index->find(entry.id, {}))->entry.description == "it came back");
      CHECK_FALSE(good(e.index->find(other, {})).has_value());
      CHECK(e.contradiction() == "");
    });
  }
}
