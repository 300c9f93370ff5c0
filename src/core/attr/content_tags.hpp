// SPDX-License-Identifier: Apache-2.0
// The numbers of the fields in the canonical content (docs/formats/content.md). Frozen.
#pragma once

#include <cstdint>
#include <string_view>

namespace artcache::attr {

inline constexpr std::string_view kContentVersionLine = "artcache entry 1\n";

/// Never used for another field again.
enum class Tag : std::uint8_t {
  id = 1,
  original_filename = 2,
  storage_filename = 3,
  storage_path = 4,
  file_size = 5,
  content_type = 6,
  created_at = 7,
  updated_at = 8,
  created_by_id = 9,
  created_by_username = 10,
  created_by_fullname = 11,
  description = 12,
  version = 13,
  checksum = 14,
  tag = 15,
  retention_policy = 16,
  ttl_days = 17,
  retention_expires_at = 18,
  metadata = 19,
  custom_attributes = 20,
  unknown_members = 21,
};

}  // namespace artcache::attr
