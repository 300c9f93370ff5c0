// SPDX-License-Identifier: Apache-2.0
// Hands an Error on to the caller. Only under src/ and daemon/: public headers have no macros.
#pragma once

#include <artcache/result.hpp>
#include <utility>

#define ARTCACHE_CONCAT_INNER(a, b) a##b
#define ARTCACHE_CONCAT(a, b) ARTCACHE_CONCAT_INNER(a, b)

/// ARTCACHE_TRY(auto x, f()): x is the value of f(), or this function returns f()'s error.
#define ARTCACHE_TRY(target, expression)                                                           \
  auto ARTCACHE_CONCAT(try_, __LINE__) = (expression);                                             \
  if (!ARTCACHE_CONCAT(try_, __LINE__)) return std::move(ARTCACHE_CONCAT(try_, __LINE__)).error(); \
  target = std::move(*ARTCACHE_CONCAT(try_, __LINE__))

/// The same for a call without a value.
#define ARTCACHE_CHECK(expression) \
  if (auto try_result = (expression); !try_result) return std::move(try_result).error()
