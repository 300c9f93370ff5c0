// SPDX-License-Identifier: Apache-2.0
#include "roles/element/settings.hpp"

#include <doctest/doctest.h>

#include <initializer_list>
#include <string>
#include <utility>

#include "roles/shared_settings.hpp"

namespace artcache::element {
namespace {

using shared_settings::redis_address;

using Told = std::initializer_list<std::pair<std::string_view, std::string>>;

config::Settings told(const Told& values) {
  config::Settings settings(settings_table());
  for (const auto& [name, value] : values) REQUIRE(settings.put(name, value, "test"));
  return settings;
}

std::string text(const Result<std::optional<Url>>& url) {
  if (!url) return to_string(url.error().code).data();
  return *url ? (*url)->reveal() : "none";
}

TEST_SUITE("element settings") {
  TEST_CASE("nothing said is nothing, and not an address") {
    CHECK(text(storage_address(told({}))) == "none");
    CHECK(text(index_address(told({}))) == "none");
    CHECK(text(redis_address(told({}))) == "none");
  }

  TEST_CASE("the parts that the original knows make one address") {
    CHECK(text(storage_address(told({{"storage_type", "local"}, {"storage_path", "/a b/c"}}))) ==
          "file:///a%20b/c");
    CHECK(
        text(storage_address(told({{"storage_type", "s3"},
                                   {"s3_endpoint", "http://minio:9000"},
                                   {"s3_access_key", "key"},
                                   {"s3_secret_key", "a/b@c"},
                                   {"s3_folder", "storage_element_01"}}))) ==
        "s3://key:a%2Fb%40c@artstore-files/storage_element_01?endpoint=http%3A%2F%2Fminio%3A9000");
    CHECK(text(index_address(told({{"db_host", "postgres"},
                                   {"db_user", "artstore"},
                                   {"db_password", "p:w"},
                                   {"db_prefix", "storage_elem_01"}}))) ==
          "postgresql://artstore:p%3Aw@postgres:5432/artstore?prefix=storage%5Felem%5F01");
    CHECK(text(redis_address(
              told({{"redis_host", "redis"}, {"redis_db", "2"}, {"redis_password", "secret"}}))) ==
          "redis://:secret@redis:6379/2");
  }

  TEST_CASE("the log of the index and the stream keep the same number of changes") {
    const auto kept = [](const Told& values) {
      const auto settings = told(values);
      const auto index = index_address(settings);
      REQUIRE(index);
      const Url bare = *index ? **index : *Url::parse("sqlite:///default.db");
      const auto whole = with_changes_kept(bare, settings);
      const auto stream = changes_kept(settings);
      REQUIRE(whole);
      REQUIRE(stream);
      CHECK(whole->parameter("log_rows") == std::to_string(*stream));
      return *stream;
    };
    CHECK(kept({}) == 100'000);
    CHECK(kept({{"events_stream_most", "5000"}}) == 5000);
    CHECK(kept({{"events_stream_most", "5000"}, {"db_host", "postgres"}}) == 5000);
    CHECK(kept({{"events_stream_most", "5000"}, {"index", "sqlite:///i.db?sync=off"}}) == 5000);
    CHECK(kept({{"events_stream_most", "5000"}, {"index", "sqlite:///i.db?log_rows=70"}}) == 70);
  }

  TEST_CASE("an address in one piece counts more than parts of one") {
    const auto settings = told({{"storage", "file:///whole"},
                                {"storage_type", "s3"},
                                {"index", "sqlite:///i.db"},
                                {"db_host", "postgres"},
                                {"redis", "redis://one"},
                                {"redis_host", "two"}});
    CHECK(text(storage_address(settings)) == "file:///whole");
    CHECK(text(index_address(settings)) == "sqlite:///i.db");
    CHECK(text(redis_address(settings)) == "redis://one");
  }

  TEST_CASE("what cannot be is refused") {
    CHECK(text(storage_address(told({{"storage_type", "ftp"}}))) == "invalid_argument");
    CHECK(text(storage_address(told({{"storage_type", "s3"}, {"s3_access_key", "key"}}))) ==
          "invalid_argument");
  }

  TEST_CASE("secrets are not printed") {
    for (const char* name : {"s3_access_key", "s3_secret_key", "db_password", "redis_password"})
      CHECK(told({{name, "secret"}}).shown(name) == "***");
    CHECK(told({{"redis", "redis://:secret@host"}}).shown("redis") == "redis://:***@host");
  }
}

}  // namespace
}  // namespace artcache::element
