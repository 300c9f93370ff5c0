// SPDX-License-Identifier: Apache-2.0
#include "conformance/index_suite.hpp"

#include <unistd.h>

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

}  // namespace

std::vector<std::unique_ptr<IndexPlace>> index_places() {
  std::vector<std::unique_ptr<IndexPlace>> places;
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
