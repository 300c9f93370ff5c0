// SPDX-License-Identifier: Apache-2.0
#include <artcache/read_bound.hpp>

#include <artcache/follower.hpp>
#include <artcache/metadata_store.hpp>

#include "core/sync/replica_note.hpp"
#include "util/try.hpp"

namespace artcache {
namespace {

Result<void> check_replica(const ReplicaState& replica, const ReadBound& bound) {
  if (bound.max_staleness)
    return Error{Errc::unavailable, "read: how old a replica is only its follower can tell"};
  if (!replica.whole)
    return Error{Errc::unavailable, "read: the replica is not whole at this moment"};
  return sync::check_reached(replica.standing.source, *bound.min_position);
}

}  // namespace

Result<void> sync::check_reached(const Position& position, const Position& wanted) {
  if (position.epoch != 0 && wanted.epoch != position.epoch)
    return Error{Errc::gone, "read: position " + to_string(wanted) +
                                 " is not of the log that this is a replica of"};
  if (position.epoch == 0 || wanted.seq > position.seq)
    return Error{Errc::unavailable, "read: the replica is at " + to_string(position) +
                                        " and has not got to " + to_string(wanted)};
  if (wanted.seq == position.seq && wanted.digest != position.digest)
    return Error{Errc::gone,
                 "read: position " + to_string(wanted) + " is of what the source was before"};
  return {};
}

Result<void> check_bound(MetadataStore& index, const ReadBound& bound, const Call& call) {
  if (!bound.any()) return {};
  ARTCACHE_TRY(const auto replica, replica_state(index, call));
  if (replica) return check_replica(*replica, bound);
  ARTCACHE_TRY(const IndexHead head, index.head(call));
  if (!head.suspect_reason.empty())
    return Error{Errc::unavailable, "read: the index may be wrong: " + head.suspect_reason};
  if (!bound.min_position || *bound.min_position == head.position) return {};
  ARTCACHE_TRY(const LogSlice slice, index.read_after(*bound.min_position, 1, call));
  static_cast<void>(slice);
  return {};
}

}  // namespace artcache
