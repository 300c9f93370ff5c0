// SPDX-License-Identifier: Apache-2.0
// Fills an index that is nearly empty from its storage, in one bulk load.
#pragma once

#include "core/reconcile/run.hpp"

namespace artcache::reconcile {

enum class Filled : std::uint8_t {
  no,        ///< the index is as it was: it is to be compared
  partly,    ///< from an earlier load, whose rows may be out of date by now: likewise
  entirely,  ///< it says what the sidecars say
};

/// Where that pays, and no entry is lost by it whose sidecar may still be there.
Result<Filled> fill_in_bulk(Run& run);

}  // namespace artcache::reconcile
