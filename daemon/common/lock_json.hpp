// SPDX-License-Identifier: Apache-2.0
// The holder of a lock as every program of artcache shows it.
#pragma once

#include <artcache/json_writer.hpp>
#include <artcache/lock_manager.hpp>

namespace artcache {

/// One JSON object.
void append_holder(JsonWriter& json, const LockHolder& holder);

}  // namespace artcache
