// SPDX-License-Identifier: Apache-2.0
// What is to be done about an intent, given what stands in the storage. Pure: the same answer is
// used for a writer that crashed and for one that met an error, so both end alike.
//
// Every change of a file goes
//   intent -> data -> sidecar -> entry and end of the intent     (upload)
//   intent -> sidecar -> entry -> data -> end of the intent      (remove)
//   intent -> sidecar -> entry and end of the intent             (update)
// and the sidecar, which is replaced in one step, decides what the file is: without it there is no
// file, with it the file is whole, because its data was durable before.
#pragma once

#include <artcache/metadata_store.hpp>
#include <artcache/result.hpp>
#include <cstdint>

namespace artcache::files {

/// What stands under the path of a sidecar.
enum class SidecarSeen : std::uint8_t {
  absent,
  whole,       ///< readable, whatever it says
  unreadable,  ///< broken by other hands: we only ever leave whole ones
  unknown,     ///< the storage did not answer
};

enum class Settle : std::uint8_t {
  follow,     ///< make the index say what the sidecar says, or nothing without one; end the intent
  drop_data,  ///< likewise, and remove the data file before the intent ends
  give_up,    ///< nobody but people can tell: end the intent, so that a check names the file
  later,      ///< keep the intent
};

Settle settle(Intent::Operation operation, SidecarSeen sidecar);

/// Where a writer met an error.
enum class Stage : std::uint8_t {
  intent,   ///< announcing
  data,     ///< taking in, writing or checking the data
  sidecar,  ///< putting, replacing or removing it
  index,    ///< applying the change
  after,    ///< what remains once the change is done and can be seen
};

enum class Undo : std::uint8_t {
  nothing,    ///< it is done, or nothing has begun
  as_it_is,   ///< settle the intent as it stands
  take_back,  ///< remove the sidecar that was put, then settle
};

/// `outcome` says whether the failed step may have been done all the same. What certainly did not
/// reach the index is taken back, so that the caller's error is the truth; what may have reached it
/// is settled by what stands there.
Undo after_error(Intent::Operation operation, Stage stage, Outcome outcome);

/// Is this intent that of a writer who may still be at work? `others_since` is when the oldest of
/// the other living writers began; whoever begins later notes no intent before that.
enum class Owner : std::uint8_t { me_now, me_before, somebody };
bool may_be_under_way(Owner owner, Timestamp begun_at, std::optional<Timestamp> others_since);

}  // namespace artcache::files
