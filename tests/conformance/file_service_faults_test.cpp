// SPDX-License-Identifier: Apache-2.0
// Every step of every change fails once, before it is done and after.
#include <doctest/doctest.h>

#include <artcache/lock_manager.hpp>
#include <chrono>
#include <functional>

#include "conformance/file_service_suite.hpp"

using namespace artcache;
using namespace artcache::test;

namespace {

enum class Change : std::uint8_t { upload, update, remove };

/// A file whole with its entry, or nothing of it; and after a success what was asked for.
struct Case {
  Change change;
  FileId id;
  Result<void> result = {};
};

Result<void> run(Element& e, Change change, const FileId& id) {
  switch (change) {
    case Change::upload: {
      UploadRequest request = Element::plan();
      request.id = id;
      const auto row = e.upload(request);
      return row ? Result<void>() : row.error();
    }
    case Change::update: {
      UpdateRequest request;
      request.changes.tags = std::vector<std::string>{"changed"};
      const auto row = e.files->update(id, request, {});
      return row ? Result<void>() : row.error();
    }
    case Change::remove:
      break;
  }
  return e.files->remove(id, {});
}

bool is_done(Element& e, const Case& c) {
  const auto row = good(e.index->find(c.id, {}));
  if (c.change == Change::remove) return !row;
  if (c.change == Change::upload) return row.has_value();
  return row && row->entry.tags == std::vector<std::string>{"changed"};
}

void check_after(Element& e, const Case& c) {
  CHECK(e.settle(*e.files).left.empty());
  CHECK(good(e.index->intents({})).empty());
  CHECK(e.contradiction() == "");
  CHECK(e.paths().size() == e.head().count * 2);
  if (c.result.has_value())
    CHECK(is_done(e, c));
  else if (c.result.error().outcome == Outcome::not_applied)
    CHECK_FALSE(is_done(e, c));
  // The same once more says that it is so, or makes it so.
  const auto again = run(e, c.change, c.id);
  const bool repeated =
      again || (c.change == Change::remove && again.error().code == Errc::not_found);
  CHECK_MESSAGE(repeated, (again ? "" : to_string(again.error())));
  CHECK(is_done(e, c));
  CHECK(e.contradiction() == "");
}

/// Prepares, gives the order for the n-th step, runs and checks, for every n that comes to pass.
void break_every_step(const std::function<void(Element&, std::size_t)>& order,
                      const std::function<std::size_t(Element&)>& steps) {
  for (const Change change : {Change::upload, Change::update, Change::remove})
    for (std::size_t n = 1;; ++n) {
      INFO("change " << static_cast<int>(change) << ", step " << n);
      REQUIRE(n < 100);
      Element e;
      good(e.upload());
      Case c{change, FileId::mint(e.clock)};
      if (change != Change::upload) c.id = good(e.upload()).entry.id;
      const std::size_t before = steps(e);
      order(e, n);
      c.result = run(e, change, c.id);
      if (steps(e) - before < n) {  // it never comes to an n-th step
        CHECK(c.result.has_value());
        break;
      }
      check_after(e, c);
    }
}

/// In the middle of it somebody breaks the lease of all writers, and somebody else recovers.
class BreakingSource final : public ByteSource {
 public:
  BreakingSource(Element& element, FileService& other) : element_(element), other_(other) {}

  Result<std::size_t> read(std::span<std::byte> buffer, const Call& call) override {
    ++reads_;
    if (reads_ > 2) return std::size_t{0};
    if (reads_ == 2) {
      CHECK(good(element_.locks->force_break("files.default", LockClass::lazy_rebuild, call)));
      element_.clock.advance(std::chrono::minutes(9));  // both notice when they renew
      settled = element_.settle(other_).undone;
    }
    buffer.front() = std::byte{'x'};
    return std::size_t{1};
  }

  std::uint64_t settled = 0;

 private:
  Element& element_;
  FileService& other_;
  int reads_ = 0;
};

/// A caller who sends a byte every nine minutes, for an hour and a half.
class SlowSource final : public ByteSource {
 public:
  SlowSource(Element& element, const FileId& id) : element_(element) {
    asked_.element = "file." + to_string(id);
  }
  Result<std::size_t> read(std::span<std::byte> buffer, const Call& call) override {
    const auto other = element_.locks->try_acquire(asked_, call);
    CHECK_FALSE(other.has_value());
    if (++reads_ > 10) return std::size_t{0};
    element_.clock.advance(std::chrono::minutes(9));
    buffer.front() = std::byte{'x'};
    return std::size_t{1};
  }

 private:
  Element& element_;
  LockRequest asked_;
  int reads_ = 0;
};

/// The locks of an index as several machines keep them in a server: its clock counts, and what one
/// of them writes tells the others no kernel lock to ask for. One that is gone gives nothing back.
class OtherHost final : public LockStore {
 public:
  OtherHost(LockStore& server, const Clock& clock, std::string boot)
      : server_(server), clock_(clock), boot_(std::move(boot)) {}
  void vanish() { gone_ = true; }

  Result<LockRows> lock_rows(std::string_view element, const Call& call) override {
    auto rows = server_.lock_rows(element, call);
    if (rows) rows->now = now();
    return rows;
  }
  Result<void> change_locks(std::string_view element, const Decide& decide, Durability durability,
                            const Call& call) override {
    if (gone_) return Error{Errc::unavailable, "there is no such host any more"};
    const auto here = [&](const LockRows& kept) -> Result<LockEdit> {
      LockRows rows = kept;
      rows.now = now();
      auto edit = decide(rows);
      if (!edit) return edit;
      for (LockRows::Holder& holder : edit->put) {
        const std::string_view member = "\"place\":\"";
        const std::size_t at = holder.text.find(member) + member.size();
        holder.text.replace(at, holder.text.find('/', at) - at, boot_);
      }
      return edit;
    };
    return server_.change_locks(element, here, durability, call);
  }
  [[nodiscard]] std::string owners_path() const override { return server_.owners_path(); }

 private:
  [[nodiscard]] std::chrono::microseconds now() const {
    const auto since = clock_.steady().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::microseconds>(since);
  }
  LockStore& server_;
  const Clock& clock_;
  const std::string boot_;
  bool gone_ = false;
};

constexpr std::array kCounted{StorageOp::sidecar, StorageOp::stage,  StorageOp::append,
                              StorageOp::commit,  StorageOp::remove, StorageOp::stat,
                              StorageOp::list};

}  // namespace

TEST_SUITE("files.faults") {
  TEST_CASE("a step of the storage that fails leaves a whole file or nothing") {
    for (const StorageOp op : kCounted)
      for (const Errc code : {Errc::no_space, Errc::unavailable}) {
        INFO("operation " << static_cast<int>(op));
        break_every_step(
            [&](Element& e, std::size_t n) {
              e.faulty_storage->fail(op, {code, "disk"}, n);
            },
            [&](Element& e) { return e.faulty_storage->count(op); });
      }
  }

  TEST_CASE("a lost answer of the storage leaves a whole file or nothing") {
    for (const StorageOp op : {StorageOp::commit, StorageOp::remove})
      break_every_step(
          [&](Element& e, std::size_t n) {
            e.faulty_storage->lose_answer(op, {Errc::unavailable, "lost", Outcome::unknown}, n);
          },
          [&](Element& e) { return e.faulty_storage->count(op); });
  }

  TEST_CASE(
      "what may be undone by a power cut is not acknowledged, and counts once it is durable") {
    const Error disk{Errc::unavailable, "disk", Outcome::unknown};
    for (const Change change : {Change::upload, Change::update, Change::remove}) {
      INFO("change " << static_cast<int>(change));
      Element e;
      Case c{change, FileId::mint(e.clock)};
      if (change == Change::upload) good(e.upload());  // recovery is over
      if (change != Change::upload) c.id = good(e.upload()).entry.id;
      if (change == Change::remove)
        e.faulty_storage->lose_answer(StorageOp::remove, disk);
      else  // of the sidecar: the data of an upload comes first
        e.faulty_storage->lose_answer(StorageOp::commit, disk, change == Change::upload ? 2 : 1);
      e.faulty_storage->fail(StorageOp::sync, disk);
      c.result = run(e, change, c.id);
      REQUIRE_FALSE(c.result.has_value());
      CHECK(c.result.error().outcome == Outcome::unknown);
      CHECK_FALSE(is_done(e, c));
      CHECK(good(e.index->intents({})).size() == 1);
      good(e.files->recover({}));
      CHECK(is_done(e, c));
      check_after(e, c);
    }
  }

  TEST_CASE("a write of the index that fails leaves a whole file or nothing") {
    for (const Errc code : {Errc::no_space, Errc::unavailable, Errc::lease_lost})
      break_every_step(
          [&](Element& e, std::size_t n) {
            e.faulty_index->fail({code, "index"}, n);
          },
          [](Element& e) { return e.faulty_index->writes(); });
  }

  TEST_CASE("a lost answer of the index leaves a whole file or nothing") {
    break_every_step(
        [](Element& e, std::size_t n) {
          e.faulty_index->lose_answer({Errc::unavailable, "lost", Outcome::unknown}, n);
        },
        [](Element& e) { return e.faulty_index->writes(); });
  }

  TEST_CASE("recovery beside a writer that is alive leaves its work alone") {
    Element e;
    good(e.upload());  // it is at work from now on
    const Intent theirs{
        .id = FileId::mint(e.clock), .path = "2026/03/x", .begun_at = e.clock.now()};
    good(e.index->add_intent(theirs, {}));
    good(e.storage->put({.path = theirs.path}, "data on its way", {}));
    const auto other = e.service();
    CHECK(good(other->recover({})).under_way == 1);
    CHECK(other->unsettled() == 1);  // its writer may have died a moment ago
    CHECK(good(e.storage->stat(theirs.path, {})).has_value());
    e.files.reset();
    CHECK(e.settle(*other).undone == 1);
    CHECK(other->unsettled() == 0);
    CHECK_FALSE(good(e.storage->stat(theirs.path, {})).has_value());
    CHECK(e.contradiction() == "");
  }

  TEST_CASE("what a host that is gone left undone is settled once its time is over") {
    Element e;
    OtherHost one(*e.index->locks(), e.clock, "one"), two(*e.index->locks(), e.clock, "two");
    auto gone_locks = good(make_lock_manager(one, e.deps));
    const auto locks = good(make_lock_manager(two, e.deps));
    auto gone =
        std::make_unique<FileService>(*e.storage, *e.index, *gone_locks, e.settings, e.deps);
    FileService files(*e.storage, *e.index, *locks, e.settings, e.deps);
    good(gone->recover({}));
    good(files.recover({}));
    const auto leave = [&](const std::string& path) {
      e.clock.advance(std::chrono::seconds(1));
      good(e.index->add_intent(
          {.id = FileId::mint(e.clock), .path = path, .begun_at = e.clock.now()}, {}));
      good(e.storage->put({.path = path}, "data on its way", {}));
    };
    leave("2026/03/x");
    one.vanish();
    gone.reset();
    gone_locks.reset();
    CHECK(good(files.recover({})).under_way == 1);  // it may be slow
    e.clock.advance(std::chrono::minutes(9));
    leave("2026/03/y");  // of somebody who came and went
    CHECK(good(files.recover({})).under_way == 2);
    CHECK(files.unsettled() == 2);
    e.clock.advance(std::chrono::minutes(1));
    CHECK(e.settle(files).undone == 2);
    CHECK(files.unsettled() == 0);
    CHECK(e.paths().empty());
    CHECK(e.contradiction() == "");
  }

  TEST_CASE("a writer that was idle for long keeps nothing from being settled, and writes on") {
    for_each_element([](Element& e) {
      good(e.upload());
      const auto other = e.service();
      e.clock.advance(std::chrono::minutes(11));
      good(other->recover({}));
      good(e.index->add_intent(
          {.id = FileId::mint(e.clock), .path = "2026/03/x", .begun_at = e.clock.now()}, {}));
      const auto report = e.settle(*other);
      CHECK(report.under_way == 0);
      CHECK(report.undone == 1);
      e.clock.advance(std::chrono::minutes(11));
      good(e.index->add_intent(
          {.id = FileId::mint(e.clock), .path = "2026/03/y", .begun_at = e.clock.now()}, {}));
      CHECK(e.settle(*other).undone == 1);  // its own lease of before is no other writer's
      good(e.upload());
      CHECK(e.contradiction() == "");
    });
  }

  TEST_CASE("a sidecar that arrives after its writer was killed and settled leaves nothing") {
    Element e;
    e.faulty_storage->late_writes(std::chrono::seconds(30));
    // Its sidecar as the writer has sent it off.
    const FileEntry sent = good(e.upload()).entry;
    std::string sidecar = sent.data_path() + ".attr.json", text;
    const std::string_view path = sidecar;
    good(e.storage->read_sidecars({&path, 1}, 1 << 20,
                                  [&](std::size_t, Result<SidecarBytes> read) -> Result<void> {
                                    text = good(std::move(read)).bytes;
                                    return {};
                                  },
                                  {}));
    good(e.files->remove(sent.id, {}));
    REQUIRE(e.paths().empty());
    const Intent left{.id = sent.id, .path = sent.data_path(), .begun_at = e.clock.now()};
    good(e.index->add_intent(left, {}));
    good(e.storage->put({.path = left.path}, kBytes, {}));

    e.restart();
    CHECK(good(e.files->recover({})).watched == 1);
    CHECK(e.files->unsettled() == 1);
    CHECK(e.paths().empty());
    good(e.storage->put({.path = sidecar}, text, {}));  // it arrives
    UploadRequest again = Element::plan();
    again.id = sent.id;
    CHECK(e.upload(again).error().code == Errc::busy);

    e.restart();  // the next process goes on watching
    e.clock.advance(std::chrono::seconds(20));
    CHECK(good(e.files->recover({})).watched == 1);
    e.clock.advance(std::chrono::seconds(11));
    CHECK(good(e.files->recover({})).undone == 1);
    CHECK(e.files->unsettled() == 0);
    CHECK(e.paths().empty());
    CHECK(e.head().count == 0);
    CHECK(good(e.index->intents({})).empty());
    CHECK(e.contradiction() == "");
    good(e.upload(again));
  }

  TEST_CASE("a put without an answer is settled at once, and once more when none can arrive") {
    Element e;
    e.faulty_storage->late_writes(std::chrono::seconds(30));
    good(e.upload());
    e.faulty_storage->fail(StorageOp::commit, {Errc::timed_out, "slow", Outcome::unknown}, 2);
    const auto row = e.upload();
    REQUIRE_FALSE(row.has_value());
    CHECK(row.error().outcome == Outcome::not_applied);
    CHECK(e.paths().size() == 2);
    CHECK(e.files->unsettled() == 1);
    e.clock.advance(std::chrono::seconds(31));
    CHECK(good(e.files->recover({})).undone == 1);
    CHECK(e.files->unsettled() == 0);
    CHECK(e.contradiction() == "");
  }

  TEST_CASE("an update without an answer may still arrive, and says so") {
    Element e;
    e.faulty_storage->late_writes(std::chrono::seconds(30));
    const FileId id = good(e.upload()).entry.id;
    UpdateRequest request;
    request.changes.tags = std::vector<std::string>{"changed"};
    e.faulty_storage->fail(StorageOp::commit, {Errc::timed_out, "slow", Outcome::unknown}, 1);
    const auto changed = e.files->update(id, request, {});
    REQUIRE_FALSE(changed.has_value());
    CHECK(changed.error().outcome == Outcome::unknown);
    CHECK(e.files->unsettled() == 1);
    CHECK(e.files->update(id, request, {}).error().code == Errc::busy);
    CHECK(e.service()->remove(id, {}).error().code == Errc::busy);  // whoever it is
    e.clock.advance(std::chrono::seconds(31));
    CHECK(good(e.files->recover({})).completed == 1);
    good(e.files->update(id, request, {}));
    CHECK(e.contradiction() == "");
  }

  TEST_CASE("what somebody else has ended is watched no more, and a note of another time counts") {
    Element e;
    e.faulty_storage->late_writes(std::chrono::seconds(30));
    e.faulty_storage->fail(StorageOp::commit, {Errc::timed_out, "slow", Outcome::unknown}, 1);
    REQUIRE_FALSE(e.upload().has_value());
    REQUIRE(e.files->unsettled() == 1);
    const FileId id = good(e.index->intents({})).front().id;
    for (const char* const until : {"2199-01-01T00:00:00+00:00", "whenever"}) {
      good(e.index->set_note("settled/" + to_string(id), until, 0, {}));
      CHECK(good(e.files->recover({})).watched == 1);
      CHECK(good(e.index->note("settled/" + to_string(id), {})) < "2199");
    }
    // Nor does one of an earlier change of the same file make a watch shorter.
    const Timestamp past = e.clock.now() - std::chrono::seconds(1);
    good(e.index->set_note("settled/" + to_string(id), to_string(past) + " " + to_string(past), 0,
                           {}));
    CHECK(good(e.files->recover({})).watched == 1);
    good(e.index->apply({.finished_intents = {&id, 1}}, {}));
    good(e.files->recover({}));
    CHECK(e.files->unsettled() == 0);
  }

  TEST_CASE("an upload whose writer others had to take for dead fails and leaves nothing") {
    Element e;
    good(e.files->recover({}));
    const auto other = e.service();
    good(other->recover({}));
    BreakingSource source(e, *other);
    const auto row = e.files->upload(Element::plan(), source, {});
    REQUIRE_FALSE(row.has_value());
    CHECK(row.error().code == Errc::lease_lost);
    CHECK(row.error().outcome == Outcome::not_applied);
    CHECK(source.settled == 1);
    CHECK(e.paths().empty());
    CHECK(e.head().count == 0);
    CHECK(good(e.index->intents({})).empty());
    good(e.upload());  // the next one is a writer like any other
    CHECK(e.contradiction() == "");
  }

  TEST_CASE("an upload under an id of its caller's keeps others away however long it takes") {
    Element e;
    UploadRequest request = Element::plan();
    request.id = FileId::mint(e.clock);
    SlowSource source(e, *request.id);
    const auto row = e.files->upload(request, source, {});
    REQUIRE(row.has_value());
    CHECK(row->entry.file_size == 10);
    CHECK(e.contradiction() == "");
  }

  TEST_CASE("in modes that write nothing recovery only counts") {
    Element e({.mode = ElementMode::ro});
    const Intent left{.id = FileId::mint(e.clock), .path = "2026/03/x", .begun_at = e.clock.now()};
    good(e.index->add_intent(left, {}));
    CHECK(good(e.files->recover({})).under_way == 1);
    CHECK(good(e.index->intents({})).size() == 1);
  }

  TEST_CASE("[G2] a rebuild in the middle of a change neither loses it nor undoes it") {
    for (const Change change : {Change::upload, Change::update, Change::remove})
      for (std::size_t n = 1; n < 30; ++n) {
        INFO("change " << static_cast<int>(change) << ", step " << n);
        Element e;
        Case c{change, FileId::mint(e.clock)};
        if (change != Change::upload) c.id = good(e.upload()).entry.id;
        CacheRebuildService rebuild(*e.storage, *e.index, *e.locks, {}, e.deps);
        good(e.files->recover({}));
        std::size_t step = 0;
        const auto interrupt = [&] {
          if (++step == n) CHECK(rebuild.rebuild_full({}, {}).has_value());
        };
        e.faulty_storage->before_each([&](StorageOp, std::string_view) { interrupt(); });
        e.faulty_index->before_each(interrupt);
        c.result = run(e, change, c.id);
        e.faulty_storage->before_each({});
        e.faulty_index->before_each({});
        CHECK_MESSAGE(c.result.has_value(), (c.result ? "" : to_string(c.result.error())));
        check_after(e, c);
        if (step < n) break;
      }
  }
}
