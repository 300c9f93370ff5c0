// SPDX-License-Identifier: Apache-2.0
// Where elements are found in Redis, under the names of the original (docs/operations/daemon.md).
#pragma once

#include <string_view>

namespace artcache {

/// One key for each element, a plain JSON string; nothing else begins so.
inline constexpr std::string_view kElementKey = "artstore:storage-elements:";
/// A set of the ids that may have such a key: to look for keys is to read the whole database.
inline constexpr std::string_view kElementIdsKey = "artstore:storage_element_ids";
/// All elements that have such a key, as they were when one of them last said something.
inline constexpr std::string_view kElementsKey = "artstore:storage_elements";
/// Told whenever that one was written.
inline constexpr std::string_view kDiscoveryChannel = "artstore:service_discovery";
/// The "action" of a message that tells only that the element still lives.
inline constexpr std::string_view kStillAlive = "scheduled";

}  // namespace artcache
