// SPDX-License-Identifier: Apache-2.0
// Whether data files have the bytes that their sidecars promise.
#pragma once

#include <functional>

#include "core/reconcile/context.hpp"

namespace artcache::reconcile {

/// Reads the data file of every entry and compares its SHA-256, within the budget. Returns how
/// many were read. What is missing or has another size is not told of again.
Result<std::uint64_t> verify_data(const Context& context, Session& session, Tally& tally,
                                  const std::function<Result<void>(Finding)>& find);

}  // namespace artcache::reconcile
