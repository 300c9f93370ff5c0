// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <artcache/backends.hpp>
#include <artcache/metadata_store.hpp>
#include <artcache/storage_backend.hpp>
#include <artcache/version.hpp>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "support/fake_clock.hpp"

namespace artcache {
namespace {

using Opened = Result<std::unique_ptr<StorageBackend>>;
using OpenedIndex = Result<std::unique_ptr<MetadataStore>>;

/// Answers with an error that tells which factory was asked.
Backends::StorageFactory answering(const std::string& name) {
  return [name](const Url&, const Deps&, const Call&) -> Opened {
    return Error{Errc::unavailable, name};
  };
}

Backends::IndexFactory index_answering(const std::string& name) {
  return [name](const Url&, const Deps&, const Call&) -> OpenedIndex {
    return Error{Errc::unavailable, name};
  };
}

Error open_index(const Backends& backends, const char* address) {
  const auto opened = backends.open_index(Url::parse(address).value(), Deps{}, Call{});
  REQUIRE_FALSE(opened.has_value());
  return opened.error();
}

Error open(const Backends& backends, const char* address, const Deps& deps = {},
           const Call& call = {}) {
  const auto opened = backends.open_storage(Url::parse(address).value(), deps, call);
  REQUIRE_FALSE(opened.has_value());
  return opened.error();
}

Backends::Scheme scheme(const Backends& backends, std::string_view name) {
  for (const auto& one : backends.schemes())
    if (one.name == name) return one;
  return {};
}

TEST_SUITE("backends") {
  TEST_CASE("an address goes to the factory of its scheme") {
    Backends backends;
    REQUIRE(backends.add_storage("one", answering("first")).has_value());
    REQUIRE(backends.add_storage("two", answering("second")).has_value());
    CHECK(open(backends, "one:").message == "first");
    CHECK(open(backends, "TWO://host/x").message == "second");
  }

  TEST_CASE("the factory is given address, surroundings and call, and its error comes back") {
    test::FakeClock clock;
    Deps deps;
    deps.clock = &clock;
    Call call;
    call.request_id = "req-1";
    Backends backends;
    REQUIRE(backends
                .add_storage("x",
                             [&](const Url& url, const Deps& given, const Call& by) -> Opened {
                               CHECK(url.path() == "/p");
                               CHECK(given.clock == &clock);
                               CHECK(by.request_id == "req-1");
                               return Error{Errc::busy, "x: later", Outcome::unknown};
                             })
                .has_value());
    const Error error = open(backends, "x:///p", deps, call);
    CHECK(error.code == Errc::busy);
    CHECK(error.message == "x: later");
    CHECK(error.outcome == Outcome::unknown);
  }

  TEST_CASE("what comes from outside is there without being named") {
    const Deps deps;
    CHECK(deps.clock == &system_clock());
    CHECK(deps.logger == &null_logger());
    CHECK(deps.metrics == &null_metrics());
  }

  TEST_CASE("an unknown scheme is a wrong call that names it and all that are known") {
    Backends backends;
    CHECK(open(backends, "file:///x").code == Errc::invalid_argument);
    CHECK(open(backends, "file:///x").message == "backends: unknown scheme 'file'; known: none");
    REQUIRE(backends.add_storage("file", answering("")).has_value());
    REQUIRE(backends.add_left_out("s3", "is not compiled in").has_value());
    CHECK(open(backends, "ftp://h").message == "backends: unknown scheme 'ftp'; known: file, s3");
    CHECK(open(backends, "flie:///x").message ==
          "backends: unknown scheme 'flie'; did you mean 'file'? Known: file, s3");
  }

  TEST_CASE("no message shows the rest of the address") {
    Backends backends;
    REQUIRE(backends.add_left_out("s3", "is not compiled in").has_value());
    for (const char* address : {"red://u:hunter2@h/?password=hunter2", "s3://u:hunter2@h"})
      CHECK(open(backends, address).message.find("hunter2") == std::string::npos);
  }

  TEST_CASE("a scheme that was left out is unsupported, with the reason") {
    Backends backends;
    REQUIRE(backends.add_left_out("s3", "is not compiled in").has_value());
    CHECK(open(backends, "s3://b").code == Errc::unsupported);
    CHECK(open(backends, "s3://b").message == "backends: 's3' is not compiled in");
    CHECK(scheme(backends, "s3").left_out == "is not compiled in");
    CHECK_FALSE(scheme(backends, "s3").storage);
  }

  TEST_CASE("a host brings what was left out, and it is left out no longer") {
    Backends backends;
    REQUIRE(backends.add_left_out("s3", "is not compiled in").has_value());
    REQUIRE(backends.add_storage("s3", answering("mine")).has_value());
    CHECK(open(backends, "s3://b").message == "mine");
    CHECK(scheme(backends, "s3").storage);
    CHECK(scheme(backends, "s3").left_out.empty());
  }

  TEST_CASE("a scheme is taken once, in whatever case, and the first stays") {
    Backends backends;
    REQUIRE(backends.add_storage("File", answering("first")).has_value());
    for (const char* name : {"file", "FILE"}) {
      const auto again = backends.add_storage(name, answering("second"));
      REQUIRE_FALSE(again.has_value());
      CHECK(again.error().code == Errc::conflict);
      CHECK(again.error().message == "backends: 'file' has a storage already");
      CHECK(backends.add_left_out(name, "is gone").error().code == Errc::conflict);
    }
    CHECK(open(backends, "file:").message == "first");
    CHECK(scheme(backends, "file").left_out.empty());
  }

  TEST_CASE("one scheme may have a storage and an index, each taken once") {
    Backends backends;
    REQUIRE(backends.add_storage("mem", answering("storage")).has_value());
    CHECK(open_index(backends, "mem:").code == Errc::unsupported);
    CHECK(open_index(backends, "mem:").message == "backends: 'mem' is no index");
    REQUIRE(backends.add_index("MEM", index_answering("index")).has_value());
    CHECK(open(backends, "mem:").message == "storage");
    CHECK(open_index(backends, "mem:").message == "index");
    CHECK(scheme(backends, "mem").storage);
    CHECK(scheme(backends, "mem").index);
    const auto again = backends.add_index("mem", index_answering("second"));
    REQUIRE_FALSE(again.has_value());
    CHECK(again.error().code == Errc::conflict);
    CHECK(again.error().message == "backends: 'mem' has an index already");
    CHECK(open_index(backends, "mem:").message == "index");
  }

  TEST_CASE("an index alone is no storage, and is not left out") {
    Backends backends;
    REQUIRE(backends.add_left_out("sqlite", "is not compiled in").has_value());
    CHECK(open_index(backends, "sqlite:///i").message == "backends: 'sqlite' is not compiled in");
    REQUIRE(backends.add_index("sqlite", index_answering("index")).has_value());
    CHECK(open(backends, "sqlite:///i").code == Errc::unsupported);
    CHECK(open(backends, "sqlite:///i").message == "backends: 'sqlite' is no storage");
    CHECK(scheme(backends, "sqlite").left_out.empty());
    CHECK(backends.add_left_out("sqlite", "is gone").error().code == Errc::conflict);
    CHECK(open_index(backends, "sqlight:///i").code == Errc::invalid_argument);
    CHECK(open_index(backends, "sqlight:///i").message ==
          "backends: unknown scheme 'sqlight'; known: sqlite");
  }

  TEST_CASE("what is no scheme is refused and leaves no trace") {
    Backends backends;
    for (const char* name : {"", "1a", "a b", "a_b", "a:", "a://host", "a:b", "a?b", "a#b", "a/b",
                             "\xd1\x84", "a%41"}) {
      CAPTURE(name);
      const auto added = backends.add_storage(name, answering(""));
      REQUIRE_FALSE(added.has_value());
      CHECK(added.error().code == Errc::invalid_argument);
      CHECK(backends.add_index(name, index_answering("")).error().code == Errc::invalid_argument);
      CHECK(backends.add_left_out(name, "x").error().code == Errc::invalid_argument);
    }
    CHECK(backends.add_storage(std::string("a\0", 2), answering("")).has_value() == false);
    CHECK(backends.schemes().empty());
  }

  TEST_CASE("schemes are listed by name") {
    Backends backends;
    for (const char* name : {"zeta", "alpha", "Mid"})
      REQUIRE(backends.add_storage(name, answering("")).has_value());
    std::vector<std::string> names;
    for (const auto& one : backends.schemes()) names.push_back(one.name);
    CHECK(names == std::vector<std::string>{"alpha", "mid", "zeta"});
  }

  TEST_CASE("a table is a value: filling a copy leaves the other alone") {
    Backends first;
    Backends second = first;
    REQUIRE(second.add_storage("x", answering("")).has_value());
    CHECK(first.schemes().empty());
  }

  TEST_CASE("every scheme that comes along either works or says why it does not") {
    const auto schemes = Backends::builtin().schemes();
    CHECK(std::ranges::is_sorted(schemes, {}, &Backends::Scheme::name));
    for (const char* name : {"http", "https", "postgresql", "redis", "rediss", "s3"})
      CHECK(std::ranges::count(schemes, name, &Backends::Scheme::name) == 1);
    for (const auto& one : schemes) {
      CAPTURE(one.name);
      CHECK(one.left_out.empty() == (one.storage || one.index || one.locks));
      const std::string address = one.name + "://host";
      if (!one.storage) CHECK(open(Backends::builtin(), address.c_str()).code == Errc::unsupported);
      if (!one.index)
        CHECK(open_index(Backends::builtin(), address.c_str()).code == Errc::unsupported);
    }
  }
}

TEST_SUITE("version") {
  TEST_CASE("the library linked is the one whose headers are used") {
    CHECK(version() == std::to_string(ARTCACHE_VERSION_MAJOR) + "." +
                           std::to_string(ARTCACHE_VERSION_MINOR) + "." +
                           std::to_string(ARTCACHE_VERSION_PATCH));
  }
}

}  // namespace
}  // namespace artcache
