// SPDX-License-Identifier: Apache-2.0
// The hash of an entry's content, and all that an index stores beside it.
#include "core/attr/prepare.hpp"

#include <algorithm>

#include "core/search/tokens.hpp"
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

void attr::prepare_again(PreparedEntry& out) {
  out.content.clear();
  append_content(out.content, out.entry);
  out.hash = hash_of(out.content);
  out.part = Digest::of(to_string(out.entry.id), out.hash);
  search::assign_tokens(out.tokens, out.entry);
}

PreparedEntry prepare(FileEntry entry) {
  PreparedEntry out;
  out.entry = std::move(entry);
  attr::prepare_again(out);
  return out;
}

}  // namespace artcache
