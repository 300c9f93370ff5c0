// SPDX-License-Identifier: Apache-2.0
#include "common/lock_json.hpp"

#include <chrono>

namespace artcache {

void append_holder(JsonWriter& json, const LockHolder& holder) {
  json.begin_object()
      .member("element", holder.element)
      .member("lock_type", to_string(holder.lock_class))
      .member("owner", holder.owner)
      .member("host", holder.host)
      .member("operation", holder.operation)
      .member("progress", holder.progress)
      .member("fence", holder.fence)
      .member("acquired_at", to_string(holder.acquired_at))
      .member("age_seconds", std::chrono::duration<double>(holder.age).count())
      .member("expires_in_seconds", std::chrono::duration<double>(holder.expires_in).count())
      .member("asked_to_yield", holder.asked_to_yield)
      .end_object();
}

}  // namespace artcache
