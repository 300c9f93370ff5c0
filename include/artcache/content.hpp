// SPDX-License-Identifier: Apache-2.0
// What is computed from an entry: its content, the hash of it, its words. Nothing else in artcache
// computes them, and docs/formats has their frozen definitions.
#pragma once

#include <artcache/export.hpp>
#include <artcache/file_entry.hpp>
#include <artcache/record.hpp>
#include <artcache/result.hpp>
#include <artcache/search_tokens.hpp>
#include <string>
#include <string_view>

namespace artcache {

/// The canonical content, appended to `out`: what the content hash is taken over and what a record
/// carries as its payload, so that whoever receives one can verify it (docs/formats/content.md).
ARTCACHE_EXPORT void append_content(std::string& out, const FileEntry& entry);

/// The entry that a canonical content stands for: parse_content(append_content(x)) = x.
/// Errors: corrupt.
ARTCACHE_EXPORT Result<FileEntry> parse_content(std::string_view content);

ARTCACHE_EXPORT ContentHash content_hash(const FileEntry& entry);

/// An entry with all that an index stores beside it, computed once and off the writer's thread.
struct PreparedEntry {
  FileEntry entry;
  std::string content;
  ContentHash hash;
  Digest part;  ///< Digest::of() its record
  SearchTokens tokens;
};
ARTCACHE_EXPORT PreparedEntry prepare(FileEntry entry);

}  // namespace artcache
