// SPDX-License-Identifier: Apache-2.0
// The names under which the dialects keep the fields of an entry, and a sidecar taken apart.
#pragma once

#include <array>
#include <artcache/result.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "util/json_scan.hpp"

namespace artcache::attr {

enum class Field : std::uint8_t {
  file_id,
  original_filename,
  storage_filename,
  storage_path,
  file_size,
  content_type,
  created_at,
  updated_at,
  created_by_id,
  created_by_username,
  created_by_fullname,
  description,
  version,
  checksum,
  tags,
  retention_policy,
  ttl_days,
  retention_expires_at,
  metadata,
  custom_attributes,
  schema_version,
};
inline constexpr std::size_t kFieldCount = 21;

/// What both reading and writing hold to; what is written can be read again.
inline constexpr std::size_t kTagsMost = 1000;
inline constexpr std::int64_t kDaysMost = 3'650'000;  // the year 9999 is the end of all timestamps

/// The name that v1 and v2 use.
std::string_view name_of(Field field);

/// One member of the document.
struct Member {
  util::JsonValue name, value;
  bool used = false;  ///< chosen for a field, or null where a field would be
};

/// A sidecar taken apart: all members in order, and which of them holds each field. Of several
/// names for one field the one that stands first in the table of aliases and is not null wins;
/// the others count as unknown members.
class Document {
 public:
  /// Uses the buffers of an earlier call again. Errors: corrupt.
  Result<void> parse(std::string_view bytes, std::string_view path);

  [[nodiscard]] std::string_view bytes() const { return bytes_; }
  [[nodiscard]] const std::vector<Member>& members() const { return members_; }
  /// The value of a field, or nullptr when it is absent or null.
  [[nodiscard]] const util::JsonValue* find(Field field) const {
    const std::uint16_t index = chosen_[static_cast<std::size_t>(field)];
    return index == kNone ? nullptr : &members_[index].value;
  }
  /// The member that is or, being null, would be this field; nullptr when there is none.
  [[nodiscard]] const Member* slot(Field field) const;

  /// True when this member has a value under one of the names of `field`, chosen or not.
  [[nodiscard]] static bool names(const Member& member, Field field);

  /// corrupt: "sidecar: 'path': line 5, byte 80: <what>". `where` points into the text.
  [[nodiscard]] Error error(const char* where, std::string_view what) const;

 private:
  static constexpr std::uint16_t kNone = 0xffff;
  static constexpr std::size_t kMembersMost = 10'000;

  void choose(std::size_t row, std::uint16_t index);
  Result<void> finish();
  [[nodiscard]] Error scan_error(const util::JsonScanner& scanner) const;

  std::string_view bytes_, path_;
  std::vector<Member> members_;
  std::array<std::uint16_t, kFieldCount> chosen_{}, slots_{};
  std::array<std::uint8_t, kFieldCount> ranks_{}, slot_ranks_{};
  std::uint64_t seen_ = 0;                    // a bit for each row of the table of names
  std::uint16_t twice_ = kNone;               // the first member whose name stands twice
  std::array<std::uint8_t, 64> followers_{};  // which row came behind this row last time
};

}  // namespace artcache::attr
