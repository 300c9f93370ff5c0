// SPDX-License-Identifier: Apache-2.0
// What only a bucket has: files in parts, page borders, keys that are no paths. On a real server.
#include <unistd.h>

#include <cstdlib>

#include "backends/s3/client.hpp"
#include "backends/s3/place.hpp"
#include "conformance/s3_suite.hpp"
#include "support/fake_clock.hpp"

using namespace artcache;
using namespace artcache::test;

namespace {

std::string fresh_bucket() {
  const auto named = named_storages();
  REQUIRE_MESSAGE(!named.empty(), "ARTCACHE_TEST_STORAGES names no bucket");
  return named.front();
}

/// Puts an object under any key, also one that no path of a storage can have.
void put_key(const std::string& address, const std::string& key) {
  const s3::Options options = good(s3::parse_address(good(Url::parse(address))));
  s3::Client client(options.target, system_clock());
  s3::Request request;
  request.method = "PUT";
  request.subject = "put";
  request.key = options.prefix + key;
  request.body = "x";
  CHECK(good(client.send(request, {})).status == 200);
}

Result<Stamp> put_in_pieces(StorageBackend& storage, PutRequest request, std::string_view bytes) {
  auto staged = good(storage.stage(request, {}));
  for (std::size_t at = 0; at < bytes.size(); at += 300'001)
    good(staged->append(std::as_bytes(std::span(bytes.substr(at, 300'001))), {}));
  return staged->commit({});
}

/// A user of its own with a bucket of its own, whom the server's administrator can trouble.
class Guest {
 public:
  explicit Guest(const std::string& address) : options_(options_of(address)) {
    admin("user create --display-name guest --access-key " + name_ + " --secret-key hush-hush");
    s3::Client client(options_.target, system_clock());
    s3::Request request;
    request.method = "PUT";
    request.subject = "make the bucket";
    CHECK(good(client.send(request, {})).status == 200);
  }
  ~Guest() { admin("user rm --purge-data"); }
  Guest(const Guest&) = delete;
  Guest& operator=(const Guest&) = delete;

  void admin(const std::string& command) const {
    const char* const how = std::getenv("ARTCACHE_TEST_S3_ADMIN");
    REQUIRE_MESSAGE(how != nullptr,
                    "ARTCACHE_TEST_S3_ADMIN does not say how to call radosgw-admin");
    const std::string line =
        std::string(how) + " " + command + " --uid " + name_ + " > /dev/null 2>&1";
    REQUIRE_MESSAGE(std::system(line.c_str()) == 0, command);
  }
  [[nodiscard]] std::string address() const { return address_; }

 private:
  s3::Options options_of(const std::string& address) {
    address_ = "s3://" + name_ + ":hush-hush@" + name_ + address.substr(address.find('?'));
    return good(s3::parse_address(good(Url::parse(address_))));
  }

  const std::string name_ = "guest" + std::to_string(::getpid());
  std::string address_;
  const s3::Options options_;
};

/// The server keeps what it knows of a user for a while.
template <class F>
Error refusal_of(const F& work) {
  for (int n = 0; n < 2000; ++n) {
    const auto done = work(n);
    if (!done) return done.error();
  }
  return Error{Errc::internal, "nothing was refused"};
}

}  // namespace

TEST_SUITE("s3 bucket") {
  TEST_CASE("20 MB of known and of unknown size go up in parts and come back byte for byte") {
    const auto bucket = open_bucket(fresh_bucket());
    const std::string bytes = sample_bytes(20'000'000);
    for (const bool known : {true, false}) {
      PutRequest request;
      request.path = known ? "known" : "unknown";
      if (known) request.size = bytes.size();
      const Stamp stamp = good(put_in_pieces(*bucket, request, bytes));
      CHECK(good(bucket->stat(request.path, {}))->stamp == stamp);
      CHECK(content(*bucket, request.path).value() == bytes);
      CHECK(content(*bucket, request.path, {8'388'600, 20}).value() == bytes.substr(8'388'600, 20));
      CHECK(list_all(*bucket).stamps.at(request.path) == stamp);
    }
  }

  TEST_CASE("wrong keys, a missing bucket and a wrong clock are refused with what to do") {
    const std::string address = fresh_bucket();
    const auto refusal = [](std::string changed, const Deps& deps = {}) {
      const Url url = good(Url::parse(changed));
      const auto opened = Backends::builtin().open_storage(url, deps, {});
      REQUIRE_FALSE(opened.has_value());
      CHECK(opened.error().message.find(url.password()) == std::string::npos);
      return opened.error();
    };
    const std::size_t keys = address.find("//") + 2, at = address.find('@');
    const std::string rest = address.substr(at);
    const std::string access = address.substr(keys, address.find(':', keys) - keys);
    CHECK(refusal("s3://" + access + ":hush-hush" + rest).message.find("secret key is wrong") !=
          std::string::npos);
    CHECK(refusal("s3://nobody:hush-hush" + rest).message.find("key is not known") !=
          std::string::npos);
    const Error missing =
        refusal(address.substr(0, at + 1) + "no-such-bucket" + address.substr(address.find('?')));
    CHECK(missing.code == Errc::not_found);
    FakeClock clock;  // far from now
    Deps deps;
    deps.clock = &clock;
    CHECK(refusal(address, deps).message.find("clocks") != std::string::npos);
  }

  TEST_CASE("a quota that is used up is no_space, and a suspended user is told to be one") {
    const Guest guest(fresh_bucket());
    const auto bucket = open_bucket(guest.address());
    put(*bucket, "first", "x");
    guest.admin("quota set --quota-scope=user --max-objects=1");
    guest.admin("quota enable --quota-scope=user");
    const Error full = refusal_of([&](int n) {
      return bucket->put({"more" + std::to_string(n)}, std::string_view("x"), {});
    });
    CHECK(full.code == Errc::no_space);
    CHECK(full.outcome == Outcome::not_applied);
    CHECK(full.message.find("quota") != std::string::npos);
    CHECK(content(*bucket, "first").value() == "x");

    guest.admin("user suspend");
    const Error suspended = refusal_of([&](int) { return bucket->stat("first", {}); });
    CHECK(suspended.code == Errc::unavailable);
    const Error refused = refusal_of([&](int) { return bucket->open("first", {}, {}); });
    CHECK(refused.code == Errc::unavailable);
    CHECK(refused.message.find("suspended") != std::string::npos);
    CHECK(refused.message.find("hush") == std::string::npos);
  }

  TEST_CASE("the borders of parts: one byte less, none, one more") {
    const auto bucket = open_bucket(fresh_bucket() + "&part_size=5242880");
    for (const std::size_t size : {5'242'879U, 5'242'880U, 5'242'881U, 10'485'760U, 10'485'761U}) {
      const std::string bytes = sample_bytes(size);
      good(put_in_pieces(*bucket, {"f"}, bytes));
      CHECK(content(*bucket, "f").value() == bytes);
    }
  }

  TEST_CASE("in parts too, of two writers of a new file one is refused, and what stands stays") {
    const auto bucket = open_bucket(fresh_bucket());
    const std::string bytes = sample_bytes(9'000'000);
    PutRequest request{"f", PutMode::must_not_exist};
    auto first = good(bucket->stage(request, {}));
    auto second = good(bucket->stage(request, {}));
    good(first->append(std::as_bytes(std::span(std::string_view(bytes))), {}));
    good(second->append(std::as_bytes(std::span(std::string_view("other"))), {}));
    good(second->commit({}));
    const auto late = first->commit({});
    REQUIRE_FALSE(late.has_value());
    CHECK(late.error().code == Errc::conflict);
    CHECK(content(*bucket, "f").value() == "other");
  }

  TEST_CASE("page borders: 999, 1000, 1001 and 2001 files are each listed once") {
    const auto bucket = open_bucket(fresh_bucket());
    std::size_t there = 0;
    for (const std::size_t count : {999U, 1000U, 1001U, 2001U}) {
      fill(*bucket, count - there, [&](std::size_t n) { return "f" + std::to_string(there + n); });
      there = count;
      const Listed listed = list_all(*bucket);
      good(listed.result);
      CHECK(listed.times.size() == count);
      for (const auto& one : listed.times) CHECK_MESSAGE(one.second == 1, one.first);
    }
  }

  TEST_CASE("keys with blanks, plus, percent and letters of all kinds are kept; `//` is named") {
    const std::string address = fresh_bucket();
    const auto bucket = open_bucket(address);
    const std::vector<std::string> names{"a b",     "a+b",   "a%2Bb",  "ключ ё/ñ", "日本/🎉",
                                         "a&b=c;d", "q?x#y", "(1)*'!", "~tilde",   "back\\slash"};
    for (const std::string& name : names) put(*bucket, name, name);
    for (const char* key : {"a//b", "x/../y", "ends/"}) put_key(address, key);
    const Listed listed = list_all(*bucket);
    good(listed.result);
    CHECK(listed.times.size() == names.size());
    for (const std::string& name : names) {
      CHECK_MESSAGE(listed.times.contains(name), name);
      CHECK(content(*bucket, name).value() == name);
    }
    CHECK(listed.problems.size() == 3);
    for (const auto& [path, error] : listed.problems) CHECK(error.code == Errc::invalid_argument);
    for (const std::string& name : names) CHECK(good(bucket->remove(name, {})));
  }
}
