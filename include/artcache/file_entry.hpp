// SPDX-License-Identifier: Apache-2.0
// One stored file as its sidecar describes it: the content of one row of the index.
#pragma once

#include <array>
#include <artcache/export.hpp>
#include <artcache/file_id.hpp>
#include <artcache/result.hpp>
#include <artcache/timestamp.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace artcache {

/// SHA-256 of a data file.
struct Sha256Sum {
  std::array<std::uint8_t, 32> bytes{};

  /// Reads 64 hexadecimal digits of either case. Errors: invalid_argument.
  static ARTCACHE_EXPORT Result<Sha256Sum> parse(std::string_view text);
  friend bool operator==(const Sha256Sum&, const Sha256Sum&) = default;
};
/// 64 digits, lower case.
ARTCACHE_EXPORT std::string to_string(const Sha256Sum& sum);

/// A value. Text is UTF-8 without NUL; the three JSON texts carry no white space between tokens
/// and keep numbers and strings exactly as the sidecar spells them.
struct FileEntry {
  FileId id;
  std::string original_filename;  ///< as the client named it
  std::string storage_filename;   ///< the name of the data file
  std::string storage_path;       ///< its folder: empty, or relative with a slash at the end
  std::uint64_t file_size = 0;
  std::string content_type;
  Timestamp created_at, updated_at;
  std::string created_by_id, created_by_username;
  std::optional<std::string> created_by_fullname;
  std::optional<std::string> description;
  std::optional<std::string> version;
  Sha256Sum checksum;
  std::vector<std::string> tags;
  std::optional<std::string> retention_policy;  ///< "permanent", "temporary"
  std::optional<std::int64_t> ttl_days;
  std::optional<Timestamp> retention_expires_at;
  std::string metadata = "{}";    ///< a JSON object
  std::string custom_attributes;  ///< a JSON object that is not empty, or no text at all
  std::string unknown_members;    ///< `"name":value,…` in the order of the sidecar; may be empty

  /// Where the data file lies inside its storage.
  [[nodiscard]] std::string data_path() const { return storage_path + storage_filename; }

  friend bool operator==(const FileEntry&, const FileEntry&) = default;
};

}  // namespace artcache
