// SPDX-License-Identifier: Apache-2.0
#include "common/follow_json.hpp"

#include <chrono>

namespace artcache {

bool is_whole(const FollowStatus& follow) { return follow.in_step && follow.dead_letters == 0; }

void append_follow(JsonWriter& json, const FollowStatus& follow, Timestamp now) {
  json.member("state", to_string(follow.state))
      .member("in_step", is_whole(follow))
      .member("position", to_string(follow.position))
      .member("source_position", to_string(follow.source))
      .member("lag_events", follow.lag)
      .member("lag_seconds", std::chrono::duration<double>(follow.age).count())
      .member("digest_matches", follow.proven)
      .key("digest_checked_at");
  if (follow.proven_at)
    json.value(to_string(*follow.proven_at));
  else
    json.null();
  json.key("digest_age_seconds");
  if (follow.proven_at)
    json.value(std::chrono::duration<double>(now - *follow.proven_at).count());
  else
    json.null();
  json.member("source_suspect", follow.source_suspect)
      .member("last_error", follow.last_error)
      .member("applied", follow.applied)
      .member("snapshots", follow.snapshots)
      .member("mendings", follow.mendings)
      .member("mended", follow.mended)
      .member("failures", follow.failures);
}

}  // namespace artcache
