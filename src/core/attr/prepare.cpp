// SPDX-License-Identifier: Apache-2.0
// The hash of an entry's content, and all that an index stores beside it.
#include <artcache/content.hpp>

#include <algorithm>

#include "util/hash.hpp"

namespace artcache {
namespace {

ContentHash hash_of(std::string_view content) {
  const auto sum = util::sha256(content);
  ContentHash hash;
  std::copy_n(sum.begin(), hash.bytes.size(), hash.bytes.begin());
  return hash;
}

}  // namespace

ContentHash content_hash(const FileEntry& entry) {
  thread_local std::string content;  // its buffer outlives the call, for the next one
  content.clear();
  append_content(content, entry);
  return hash_of(content);
}

PreparedEntry prepare(FileEntry entry) {
  PreparedEntry out;
  out.entry = std::move(entry);
  append_content(out.content, out.entry);
  out.hash = hash_of(out.content);
  out.part = Digest::of(to_string(out.entry.id), out.hash);
  out.tokens = search_tokens(out.entry);
  return out;
}

}  // namespace artcache
