// SPDX-License-Identifier: Apache-2.0
// Where elements are found in Redis, under the names of the original (docs/operations/daemon.md).
#pragma once

#include <string_view>

namespace artcache {

/// One key for each element, a plain JSON string; nothing else begins so.
inline constexpr std::string_view kElementKey = "artstore:storage-elements:";
/// All elements that have such a key.
inline constexpr std::string_view kElementsKey = "artstore:storage_elements";
/// Told whenever that one was written.
inline constexpr std::string_view kDiscoveryChannel = "artstore:service_discovery";
/// The "action" of a message that tells only that the element still lives.
inline constexpr std::string_view kStillAlive = "scheduled";

}  // namespace artcache
