// SPDX-License-Identifier: Apache-2.0
// What is left of a word without its endings.
#pragma once

#include <string_view>

#include "core/search/words.hpp"

namespace artcache::search {

/// The stem of a folded word: by the rules for English or Russian, or the word itself. Never empty.
/// Valid until the next call in this thread, and as long as `word`. Safe to call from any thread.
std::string_view stem(std::string_view word, Alphabet alphabet);

}  // namespace artcache::search
