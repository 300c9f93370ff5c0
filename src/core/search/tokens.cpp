// SPDX-License-Identifier: Apache-2.0
#include "core/search/tokens.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "core/search/stem.hpp"
#include "core/search/words.hpp"

namespace artcache::search {
namespace {

void append_separator(std::string& out) {
  if (!out.empty() && out.back() != ' ' && out.back() != '\n') out.push_back(' ');
}

/// Writes the tokens of one entry and remembers which are there.
class EntryTokens {
 public:
  void reserve(std::size_t size) { out_.reserve(std::min(size, kEntryTokensMost)); }

  void add_text(std::string_view text) {
    WordReader words(text);
    while (!full_ && words.next()) {
      const std::string_view stemmed = stem(words.word(), words.alphabet());
      add(stemmed);
      if (stemmed != words.word()) add(words.word());
    }
  }

  void end_part() { out_.push_back('\n'); }

  [[nodiscard]] std::string take() { return std::move(out_); }

 private:
  struct Slot {
    std::uint32_t hash = 0;
    std::uint32_t begin = 0, size = 0;  // in out_; size 0: free
  };

  void add(std::string_view token) {
    const auto hash = static_cast<std::uint32_t>(std::hash<std::string_view>{}(token));
    Slot& slot = find(token, hash);
    if (slot.size != 0) return;
    // The line feeds are counted in, so that the limit holds for the whole.
    if (out_.size() + 1 + token.size() + kPartsMost > kEntryTokensMost) {
      full_ = true;
      return;
    }
    append_separator(out_);
    slot = {hash, static_cast<std::uint32_t>(out_.size()),
            static_cast<std::uint32_t>(token.size())};
    out_.append(token);
    if (++count_ * 2 > slots_.size()) grow();
  }

  Slot& find(std::string_view token, std::uint32_t hash) {
    for (std::size_t i = hash;; ++i) {
      Slot& slot = slots_[i & (slots_.size() - 1)];
      if (slot.size == 0) return slot;
      if (slot.hash == hash && std::string_view(out_).substr(slot.begin, slot.size) == token)
        return slot;
    }
  }

  void grow() {
    std::vector<Slot> larger(slots_.size() * 2);
    for (const Slot& slot : slots_) {
      if (slot.size == 0) continue;
      std::size_t i = slot.hash & (larger.size() - 1);
      while (larger[i].size != 0) i = (i + 1) & (larger.size() - 1);
      larger[i] = slot;
    }
    many_ = std::move(larger);
    slots_ = many_;
  }

  static constexpr std::size_t kPartsMost = 4;

  std::string out_;
  bool full_ = false;
  std::size_t count_ = 0;
  std::array<Slot, 128> few_{};  // enough for nearly every entry
  std::vector<Slot> many_;
  std::span<Slot> slots_ = few_;
};

}  // namespace

void append_tokens(std::string& out, std::string_view text) {
  WordReader words(text);
  while (words.next()) {
    const std::string_view stemmed = stem(words.word(), words.alphabet());
    append_separator(out);
    out.append(stemmed);
    if (stemmed != words.word()) out.append(1, ' ').append(words.word());
  }
}

std::string entry_tokens(const FileEntry& entry) {
  constexpr std::size_t kUsual = 256;
  EntryTokens tokens;
  tokens.reserve(kUsual + (entry.description ? entry.description->size() : 0) * 2);
  tokens.add_text(entry.original_filename);
  tokens.end_part();
  for (const std::string& tag : entry.tags) tokens.add_text(tag);
  tokens.end_part();
  if (entry.description) tokens.add_text(*entry.description);
  tokens.end_part();
  tokens.add_text(entry.created_by_username);
  if (entry.created_by_fullname) tokens.add_text(*entry.created_by_fullname);
  return tokens.take();
}

}  // namespace artcache::search
