// SPDX-License-Identifier: Apache-2.0
// What the tests of buckets share.
#pragma once

#include <doctest/doctest.h>

#include <artcache/backends.hpp>
#include <memory>
#include <string>

#include "conformance/index_suite.hpp"
#include "conformance/storage_suite.hpp"

namespace artcache::test {

inline std::unique_ptr<StorageBackend> open_bucket(const std::string& address,
                                                   const Deps& deps = {}) {
  return good(Backends::builtin().open_storage(good(Url::parse(address)), deps, {}));
}

}  // namespace artcache::test
