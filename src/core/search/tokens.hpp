// SPDX-License-Identifier: Apache-2.0
// The tokens that engines store and match. Frozen in docs/formats/search.md.
#pragma once

#include <artcache/file_entry.hpp>
#include <artcache/search_tokens.hpp>
#include <cstddef>
#include <string>
#include <string_view>

namespace artcache::search {

/// Moves whenever the same text gives other tokens; an index made by another version must be
/// tokenized anew.
inline constexpr int kTokensVersion = 1;

/// No token is longer than 64 characters of up to four bytes.
inline constexpr std::size_t kTokenSizeMost = 256;
/// What an entry says beyond so many bytes of tokens is not found: engines have limits of their
/// own, and all of them shall find the same.
inline constexpr std::size_t kEntryTokensMost = std::size_t{256} * 1024;

/// Appends the tokens of a text: of every word its stem, and behind it the folded word where that
/// is another. One space between tokens and before the first, unless `out` is empty or ends with
/// white space. A token holds only a to z, 0 to 9 and well-formed UTF-8 above U+007F. Any bytes are
/// accepted. Safe to call from any thread.
void append_tokens(std::string& out, std::string_view text);

/// The tokens of all that is searchable of an entry, each once, where it comes first: the words of
/// original_filename, then those of the tags, of the description, and of the user's names. A line
/// feed stands between the four parts, whether or not they are empty. Safe to call from any thread.
std::string entry_tokens(const FileEntry& entry);

/// What search_tokens() gives, into buffers that are used again.
void assign_tokens(SearchTokens& out, const FileEntry& entry);

}  // namespace artcache::search
