// SPDX-License-Identifier: Apache-2.0
#include "core/files/protocol.hpp"

namespace artcache::files {

Settle settle(Intent::Operation operation, SidecarSeen sidecar) {
  switch (sidecar) {
    case SidecarSeen::unknown:
      return Settle::later;
    case SidecarSeen::unreadable:
      return Settle::give_up;
    case SidecarSeen::whole:
      // A removal that has not touched the sidecar yet was never acknowledged: the file stays.
      return Settle::follow;
    case SidecarSeen::absent:
      break;
  }
  // An update never made or unmade a file. If the sidecar is gone, other hands took it away, and
  // what they left of the data is theirs.
  return operation == Intent::Operation::update ? Settle::follow : Settle::drop_data;
}

Undo after_error(Intent::Operation operation, Stage stage, Outcome outcome) {
  switch (stage) {
    case Stage::intent:
      // An announcement of nothing; but one that may be there is taken away again.
      return outcome == Outcome::not_applied ? Undo::nothing : Undo::as_it_is;
    case Stage::data:
    case Stage::sidecar:
      return Undo::as_it_is;
    case Stage::index:
      // Only an upload can be taken back: the old sidecar of the others is gone.
      if (operation == Intent::Operation::upload && outcome == Outcome::not_applied)
        return Undo::take_back;
      return Undo::as_it_is;
    case Stage::after:
      return Undo::nothing;
  }
  return Undo::as_it_is;
}

bool may_be_under_way(Owner owner, Timestamp begun_at, std::optional<Timestamp> others_since) {
  switch (owner) {
    case Owner::me_now:
      return true;
    case Owner::me_before:
      return false;
    case Owner::somebody:
      break;
  }
  return others_since && begun_at >= *others_since;
}

}  // namespace artcache::files
