// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "element_stand.hpp"

namespace artcache::element {
namespace {

using http::Method;

const std::string kCheck = "/api/v1/cache/consistency", kFull = "/api/v1/cache/rebuild",
                  kIncremental = "/api/v1/cache/rebuild/incremental",
                  kCleanup = "/api/v1/cache/cleanup-expired", kBudget = "/api/v1/cache/budget",
                  kLocks = "/api/v1/cache/locks";

/// Ends when it is told to.
class Gate {
 public:
  void open() {
    const std::scoped_lock held(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void wait() {
    std::unique_lock held(mutex_);
    changed_.wait(held, [this] { return open_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
};

std::string wait_for(Stand& stand, const std::string& job) {
  const auto view = auth::must(stand.element->jobs().wait(job, {}));
  return std::string(to_string(view.state));
}

TEST_SUITE_BEGIN("element cache");

TEST_CASE("a check says flat and wrapped that index and files agree") {
  Stand stand;
  stand.upload("x");
  const Answer answer = stand.get(kCheck);
  CHECK(answer.status == 200);
  CHECK(answer.at("status") == "success");
  CHECK(answer.at("is_consistent") == "true");
  CHECK(answer.at("total_attr_files") == "1");
  CHECK(answer.at("total_cache_entries") == "1");
  CHECK(answer.at("inconsistency_percentage") == "0.0");
  CHECK(answer.at("details.orphan_cache_entries") == "[]");
  CHECK(answer.at("report.is_consistent") == "true");
  CHECK(answer.at("report.details.orphan_cache_entries") == "[]");
}

TEST_CASE("a check that is to read the data finds bytes that are not what they were") {
  Stand stand;
  const std::string id = stand.upload("what it is");
  for (const auto& file : std::filesystem::recursive_directory_iterator(stand.folder / "files"))
    if (file.path().extension() == ".txt") std::ofstream(file.path()) << "what it ix";
  const Answer names = stand.get(kCheck);
  CHECK(names.at("data_files_verified") == "0");
  CHECK(names.at("bad_checksum_count") == "0");
  const Answer bytes = stand.get(kCheck + "?data=true");
  CHECK(bytes.at("data_files_verified") == "1");
  CHECK(bytes.at("details.bad_checksum_files") == "[\"" + id + "\"]");
  CHECK(stand.get(kCheck + "?data=perhaps").status == 422);
}

TEST_CASE("an index that lost everything is rebuilt, and one that lost a row is mended") {
  Stand stand;
  for (int i = 0; i < 3; ++i) stand.upload("x");
  const std::string folder = stand.folder / "other.db";
  const Deps deps{.clock = &stand.clock};
  stand.element.reset();
  stand.locks.reset();
  stand.index = auth::must(
      Backends::builtin().open_index(auth::must(Url::parse("sqlite://" + folder)), deps, {}));
  stand.locks = auth::must(make_lock_manager(*stand.index->locks(), deps));
  stand.start({});
  const Answer before = stand.get(kCheck);
  CHECK(before.at("is_consistent") == "false");
  CHECK(before.at("orphan_attr_count") == "3");
  CHECK(before.at("inconsistency_percentage") == "100.0");
  const Answer full = stand.post(kFull);
  CHECK(full.status == 200);
  CHECK(full.at("message") == "Cache rebuild completed successfully");
  CHECK(full.at("operation_type") == "full");
  CHECK(full.at("statistics.entries_created") == "3");
  CHECK(full.at("statistics.cache_entries_after") == "3");
  CHECK(full.at("errors") == "[]");
  CHECK(full.at("result.statistics.entries_created") == "3");
  CHECK(stand.get(kCheck).at("is_consistent") == "true");
  CHECK(stand.post(kIncremental).at("operation_type") == "incremental");
}

TEST_CASE("a new index is rebuilt at the start, where that is told") {
  ElementSettings settings;
  settings.rebuild_suspect = true;
  Stand stand(settings);
  const auto jobs = stand.element->jobs().list();
  REQUIRE(jobs.size() == 1);
  CHECK(wait_for(stand, jobs.front().id) == "succeeded");
  CHECK(stand.get("/api/v1/files/0d1c1f5e-6d0a-4c8b-9a53-3f8d2b6f7a10").status == 404);
  stand.start(settings);
  CHECK(stand.element->jobs().list().empty());
}

TEST_CASE("an incremental rebuild removes entries without a sidecar only where it is asked to") {
  Stand stand;
  stand.upload("x");
  for (const auto& entry : std::filesystem::recursive_directory_iterator(stand.folder / "files"))
    if (is_sidecar_path(entry.path().string())) std::filesystem::remove(entry.path());
  CHECK(stand.post(kIncremental).at("statistics.entries_deleted") == "0");
  CHECK(stand.get(kCheck).at("orphan_cache_count") == "1");
  CHECK(stand.post(kIncremental + "?prune=1").at("statistics.entries_deleted") == "1");
  CHECK(stand.get(kCheck).at("is_consistent") == "true");
}

TEST_CASE("what has expired is shown once as it is, and is fresh after it") {
  Stand stand;
  const std::string target = "/api/v1/files/" + stand.upload("x");
  stand.clock.advance(std::chrono::hours(100));
  CHECK(stand.get(target).at("cache_expired") == "true");
  // The refresh runs beside: it is over when the next read says so.
  while (stand.get(target).at("cache_expired") == "true") std::this_thread::yield();
}

TEST_CASE("a cleanup leaves nothing that has expired") {
  Stand stand;
  stand.upload("x");
  stand.clock.advance(std::chrono::hours(100));
  CHECK(stand.get(kCheck).at("expired_cache_count") == "1");
  const Answer answer = stand.post(kCleanup);
  CHECK(answer.status == 200);
  CHECK(answer.at("operation_type") == "cleanup_expired");
  CHECK(answer.at("statistics.entries_deleted") == "1");
  const Answer after = stand.get(kCheck);
  CHECK(after.at("expired_cache_count") == "0");
  CHECK(after.at("is_consistent") == "true");
}

TEST_CASE("beside another run it is 503, when to come again and who is in the way") {
  Stand stand;
  const Lease lease = auth::must(stand.locks->try_acquire({.element = "se-01",
                                                           .lock_class = LockClass::manual_rebuild,
                                                           .operation = "test",
                                                           .ttl = {},
                                                           .waiter = {}},
                                                          {}));
  for (const auto& [method, path] : {std::pair{Method::post, kFull},
                                     {Method::post, kIncremental},
                                     {Method::get, kCheck},
                                     {Method::post, kCleanup}}) {
    const Answer answer = stand.ask({.method = method, .target = path});
    CHECK(answer.status == 503);
    CHECK(answer.at("detail").starts_with("Cannot acquire lock: "));
    CHECK(answer.header("Retry-After") == "5");
  }
  auth::must(stand.locks->release(lease, {}));
  CHECK(stand.post(kFull).status == 200);
}

TEST_CASE("a lock is shown with its holder, and taken away from whoever holds it") {
  Stand stand;
  CHECK(stand.get(kLocks).at("locks") == "[]");
  Lease lease = auth::must(stand.locks->try_acquire({.element = "se-01",
                                                     .lock_class = LockClass::manual_check,
                                                     .operation = "test",
                                                     .ttl = std::chrono::seconds(60),
                                                     .waiter = {}},
                                                    {}));
  auth::must(stand.locks->renew(lease, "7 of 9", {}));
  const Answer shown = stand.get(kLocks);
  CHECK(shown.at("element") == "se-01");
  CHECK(shown.at("total") == "1");
  const std::string locks = shown.at("locks");
  Answer one{.status = 200, .headers = {}, .body = locks.substr(1, locks.size() - 2)};
  CHECK(one.at("lock_type") == "manual_check");
  CHECK(one.at("operation") == "test");
  CHECK(one.at("progress") == "7 of 9");
  CHECK(one.at("fence") == std::to_string(lease.fence));
  CHECK_FALSE(one.at("host").empty());
  CHECK(one.at("age_seconds") == "0.0");
  CHECK(one.at("expires_in_seconds") == "60.0");

  const std::string target = kLocks + "/manual_check";
  CHECK(stand.ask({.method = Method::del, .target = kLocks + "/no_such"}).status == 404);
  CHECK(stand.ask({.method = Method::del, .target = kLocks + "/manual_rebuild"}).status == 404);
  CHECK(stand.get(kLocks).at("total") == "1");
  const Answer broken = stand.ask({.method = Method::del, .target = target});
  CHECK(broken.status == 200);
  CHECK(broken.at("lock_type") == "manual_check");
  CHECK(stand.get(kLocks).at("total") == "0");
  CHECK(stand.ask({.method = Method::del, .target = target}).status == 404);
  const auto late = stand.locks->renew(lease, "8 of 9", {});
  REQUIRE_FALSE(late);
  CHECK(late.error().code == Errc::lease_lost);
  CHECK(stand.get(kCheck).status == 200);
}

TEST_CASE("nobody but an admin's service account gets at the cache") {
  Stand stand;
  for (const auto& [method, path] : {std::pair{Method::post, kFull},
                                     {Method::post, kIncremental},
                                     {Method::get, kCheck},
                                     {Method::post, kCleanup},
                                     {Method::get, std::string("/api/v1/cache/jobs")},
                                     {Method::get, kBudget},
                                     {Method::put, kBudget},
                                     {Method::get, kLocks},
                                     {Method::del, kLocks + "/manual_check"}}) {
    CHECK(stand.ask({.method = method, .target = path, .role = ""}).status == 401);
    CHECK(stand.ask({.method = method, .target = path, .role = "user"}).status == 403);
    CHECK(stand.ask({.method = method, .target = path, .kind = "admin_user"}).status == 403);
  }
  CHECK(stand.get("/api/v1/cache/jobs").at("total") == "0");
}

TEST_CASE("who does not want to wait gets a job, and its result later") {
  Stand stand;
  stand.upload("x");
  const Answer answer = stand.post(kFull + "?async=1");
  CHECK(answer.status == 202);
  const std::string job = answer.at("job_id"), target = answer.header("Location");
  CHECK(target == "/api/v1/cache/jobs/" + job);
  CHECK(wait_for(stand, job) == "succeeded");
  const Answer shown = stand.get(target);
  CHECK(shown.at("status") == "succeeded");
  CHECK(shown.at("operation") == "rebuild");
  CHECK(shown.at("result.statistics.entries_created") == "1");
  CHECK(stand.get("/api/v1/cache/jobs").at("total") == "1");
  const Answer events = stand.get(target + "/events");
  CHECK(events.header("Content-Type") == "text/event-stream");
  CHECK(events.body.starts_with("event: done\ndata: {\"job_id\":\"" + job + "\""));
  CHECK(events.body.ends_with("}\n\n"));
  CHECK(stand.post(kFull + "?async=perhaps").status == 422);
  CHECK(stand.get("/api/v1/cache/jobs/unknown").status == 404);
  CHECK(stand.get("/api/v1/cache/jobs/unknown/events").status == 404);
  CHECK(stand.ask({.method = Method::del, .target = "/api/v1/cache/jobs/unknown"}).status == 404);
}

TEST_CASE("a run that another one's lock refuses is no job, whether the client waits or not") {
  Stand stand;
  const auto lease = auth::must(stand.locks->try_acquire(
      {.element = "se-01", .operation = "elsewhere", .ttl = {}, .waiter = {}}, {}));
  for (const std::string& target : {kFull, kFull + "?async=1", kIncremental + "?async=1"}) {
    const Answer answer = stand.post(target);
    CHECK(answer.status == 503);
    CHECK(answer.header("Retry-After") == "5");
    CHECK(answer.at("detail").starts_with("Cannot acquire lock: "));
    CHECK(answer.header("Location") == "none");
  }
  CHECK(stand.get(kCheck + "?async=1").status == 503);
  CHECK(stand.get("/api/v1/cache/jobs").at("total") == "0");
  auth::must(stand.locks->release(lease, {}));
  const Answer accepted = stand.post(kCleanup + "?async=1");
  CHECK(accepted.status == 202);
  CHECK(wait_for(stand, accepted.at("job_id")) == "succeeded");
  CHECK(stand.get("/api/v1/cache/jobs").at("total") == "1");
}

TEST_CASE("a client that goes away leaves its run behind, and finds the result") {
  Stand stand;
  stand.upload("x");
  std::stop_source gone;
  gone.request_stop();
  Ask ask{.method = Method::post, .target = kFull};
  ask.call.stop = gone.get_token();
  stand.ask(std::move(ask));
  const auto jobs = stand.element->jobs().list();
  REQUIRE(jobs.size() == 1);
  CHECK(wait_for(stand, jobs.front().id) == "succeeded");
}

TEST_CASE("a job is followed while it runs, and stops when it is told to") {
  Stand stand;
  Gate begun;
  const auto job = auth::must(stand.element->jobs().start(
      "test", {}, {}, [&](const Call& call, const ProgressSink& progress) -> Result<std::string> {
        progress({.phase = "counting", .processed = 3, .total = 7});
        begun.open();
        while (true)
          if (auto go_on = call.check("test"); !go_on) return std::move(go_on).error();
      }));
  begun.wait();
  const std::string target = "/api/v1/cache/jobs/" + job;
  CHECK(stand.get(target).at("status") == "running");
  CHECK(stand.get(target).at("progress.processed") == "3");
  std::string events;
  std::jthread follower([&] { events = stand.get(target + "/events").body; });
  CHECK(stand.ask({.method = Method::del, .target = target}).status == 202);
  CHECK(wait_for(stand, job) == "cancelled");
  follower.join();
  CHECK(events.find("event: done") != std::string::npos);
  CHECK(events.find("\"status\":\"cancelled\"") != std::string::npos);
}

TEST_CASE("runs go as fast as they are told to, in every mode, and faster when they are told so") {
  Stand stand({.mode = ElementMode::rw, .run_rates = {.files_per_second = 1}});
  for (int i = 0; i < 5; ++i) stand.upload("x");
  CHECK(stand.get(kBudget).body == R"({"files_per_second":1,"bytes_per_second":0})");
  const auto begin = [&] { return stand.get(kCheck + "?data=1&async=1").at("job_id"); };
  const auto state = [&](const std::string& job) {
    return stand.get("/api/v1/cache/jobs/" + job).at("status");
  };
  for (const bool changed : {false, true}) {
    if (changed) auth::must(stand.element->change_mode(ElementMode::rw, ElementMode::ro, {}));
    // The first of them is free, and time stands still but for this.
    const std::string job = begin();
    const auto before = stand.clock.steady();
    while (state(job) == "running") {
      stand.clock.advance(std::chrono::milliseconds(10));
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    CHECK(state(job) == "succeeded");
    CHECK(stand.clock.steady() - before >= std::chrono::seconds(4));
  }
  const std::string job = begin();
  const auto put = [&](std::string body) {
    return stand.ask({.method = Method::put, .target = kBudget, .body = std::move(body)});
  };
  CHECK(put(R"({"files_per_second":5})").status == 422);
  CHECK(put(R"({"files_per_second":-1,"bytes_per_second":0})").status == 422);
  CHECK(state(job) == "running");
  const Answer told = put(R"({"files_per_second":0,"bytes_per_second":0})");
  CHECK(told.status == 200);
  CHECK(told.body == R"({"files_per_second":0,"bytes_per_second":0})");
  CHECK(wait_for(stand, job) == "succeeded");
}

TEST_CASE("there are so many jobs at a time, and what they throw ends only them") {
  Jobs jobs{Deps{}};
  Gate end;
  const Jobs::Work waits = [&](const Call&, const ProgressSink&) -> Result<std::string> {
    end.wait();
    return std::string("{}");
  };
  for (std::size_t i = 0; i < Jobs::kRunningMost; ++i)
    auth::must(jobs.start("wait", {}, {}, waits));
  const auto more = jobs.start("more", {}, {}, waits);
  REQUIRE_FALSE(more);
  CHECK(more.error().code == Errc::busy);
  end.open();
  for (const JobView& job : jobs.list()) CHECK(jobs.wait(job.id, {})->state == JobState::succeeded);
  const auto thrower = auth::must(
      jobs.start("throw", {}, {}, [](const Call&, const ProgressSink&) -> Result<std::string> {
        throw std::runtime_error("no");
      }));
  CHECK(jobs.wait(thrower, {})->error->code == Errc::internal);
  for (std::size_t i = 0; i < 2 * Jobs::kKeptMost; ++i) {
    const auto job = auth::must(jobs.start("wait", {}, {}, waits));
    CHECK(jobs.wait(job, {}));
  }
  CHECK(jobs.list().size() == Jobs::kKeptMost);
  jobs.stop();
  CHECK(jobs.start("late", {}, {}, waits).error().code == Errc::cancelled);
}

TEST_SUITE_END();

}  // namespace
}  // namespace artcache::element
