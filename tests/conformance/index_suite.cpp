// SPDX-License-Identifier: Apache-2.0
#include "conformance/index_suite.hpp"

#include <unistd.h>

#include <atomic>
#include <cstdlib>

#include "support/temp_dir.hpp"

namespace artcache::test {
namespace {

class MemoryPlace final : public IndexPlace {
 public:
  [[nodiscard]] std::string name() const override { return "mem:"; }
  std::string fresh_address(const std::string& extra) override { return "mem:?" + extra; }
  [[nodiscard]] bool shared() const override { return false; }
};

class SqlitePlace final : public IndexPlace {
 public:
  [[nodiscard]] std::string name() const override { return "sqlite:"; }
  std::string fresh_address(const std::string& extra) override {
    const std::string file = folder_ / ("index-" + std::to_string(++count_) + ".db");
    return "sqlite://" + file + "?prefix=storage_elem_01&" + extra;
  }
  [[nodiscard]] bool shared() const override { return true; }

 private:
  TempDir folder_;
  int count_ = 0;
};

/// A server that was started for the test. Its database goes with it, so nothing is cleaned up.
class ServerPlace final : public IndexPlace {
 public:
  explicit ServerPlace(std::string address) : address_(std::move(address)) {}
  [[nodiscard]] std::string name() const override {
    return address_.substr(0, address_.find(':') + 1);
  }
  std::string fresh_address(const std::string& extra) override {
    return fresh_prefix(address_) + "&owners=" + folder_.path() + "&" + extra;
  }
  [[nodiscard]] bool shared() const override { return true; }

 private:
  std::string address_;
  TempDir folder_;
};

}  // namespace

std::string fresh_prefix(const std::string& address) {
  static std::atomic<int> count{0};
  return address + "?prefix=t" + std::to_string(::getpid()) + "_" + std::to_string(++count);
}

std::vector<std::string> named_servers() {
  std::vector<std::string> addresses;
  const char* named = std::getenv("ARTCACHE_TEST_INDEXES");
  for (std::string_view rest = named == nullptr ? "" : named; !rest.empty();) {
    const std::string_view one = rest.substr(0, rest.find(' '));
    rest.remove_prefix(std::min(rest.size(), one.size() + 1));
    if (!one.empty()) addresses.emplace_back(one);
  }
  return addresses;
}

std::vector<std::unique_ptr<IndexPlace>> index_places() {
  std::vector<std::unique_ptr<IndexPlace>> places;
  for (const std::string& address : named_servers())
    places.push_back(std::make_unique<ServerPlace>(address));
  if (!places.empty()) return places;
  places.push_back(std::make_unique<MemoryPlace>());
  places.push_back(std::make_unique<SqlitePlace>());
  return places;
}

std::unique_ptr<MetadataStore> open_index(const std::string& address) {
  const Url url = good(Url::parse(address));
  return good(Backends::builtin().open_index(url, {}, {}));
}

void for_each_index(const std::function<void(IndexPlace&, MetadataStore&)>& test,
                    const std::string& extra) {
  for (const auto& place : index_places()) {
    INFO("index: " << place->name());
    const auto index = open_index(place->fresh_address(extra));
    test(*place, *index);
  }
}

}  // namespace artcache::test
