// SPDX-License-Identifier: Apache-2.0
// How far a replica is, as every program of artcache shows it.
#pragma once

#include <artcache/follower.hpp>
#include <artcache/json_writer.hpp>
#include <artcache/timestamp.hpp>

namespace artcache {

/// In step, and nothing is missing of which somebody would have to be told.
bool is_whole(const FollowStatus& follow);

/// Members of an object that the caller has begun; ages as of `now`. All but the dead letters.
void append_follow(JsonWriter& json, const FollowStatus& follow, Timestamp now);

}  // namespace artcache
