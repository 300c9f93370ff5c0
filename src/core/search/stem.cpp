// SPDX-License-Identifier: Apache-2.0
#include "core/search/stem.hpp"

#include <libstemmer.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

namespace artcache::search {
namespace {

struct StemmerCloser {
  void operator()(sb_stemmer* stemmer) const { sb_stemmer_delete(stemmer); }
};
using Stemmer = std::unique_ptr<sb_stemmer, StemmerCloser>;

Stemmer make_stemmer(const char* language) {
  Stemmer stemmer(sb_stemmer_new(language, "UTF_8"));
  // Both languages are in every build of the library, so it can only be memory.
  if (!stemmer) throw std::bad_alloc();
  return stemmer;
}

/// Up to 31 bytes, compared and hashed as four numbers.
struct ShortText {
  std::array<std::uint64_t, 4> parts{};

  static constexpr std::size_t kSizeMost = 31;
  [[nodiscard]] std::size_t size() const { return *reinterpret_cast<const unsigned char*>(&parts); }
  [[nodiscard]] std::string_view view() const {
    return {reinterpret_cast<const char*>(&parts) + 1, size()};
  }
  void assign(std::string_view text) {
    parts = {};
    auto* bytes = reinterpret_cast<char*>(&parts);
    bytes[0] = static_cast<char>(text.size());
    std::memcpy(bytes + 1, text.data(), text.size());
  }
  [[nodiscard]] std::size_t hash() const {
    constexpr std::uint64_t kOdd = 0x9e3779b97f4a7c15ULL;
    std::uint64_t h = 0;
    for (const std::uint64_t part : parts) {
      h = (h ^ part) * kOdd;
      h ^= h >> 32;
    }
    return static_cast<std::size_t>(h);
  }
  friend bool operator==(const ShortText&, const ShortText&) = default;
};

/// Words repeat, and a look here costs a tenth of stemming. A newer word takes the place of an
/// older one: 512 KiB a thread, whatever the text.
class StemCache {
 public:
  std::string_view stem(std::string_view word, Alphabet alphabet) {
    if (word.size() > ShortText::kSizeMost) return compute(word, alphabet);
    ShortText key;
    key.assign(word);
    Slot& slot = slots_[key.hash() % kSlots];
    if (slot.word != key) {
      const std::string_view stemmed = compute(word, alphabet);
      if (stemmed.size() > ShortText::kSizeMost) return stemmed;
      slot.word = key;
      slot.stem.assign(stemmed);
    }
    return slot.stem.view();
  }

 private:
  static constexpr std::size_t kSlots = 8192;
  struct Slot {
    ShortText word, stem;
  };

  std::string_view compute(std::string_view word, Alphabet alphabet) {
    sb_stemmer* stemmer = alphabet == Alphabet::latin ? english_.get() : russian_.get();
    const auto* symbols = sb_stemmer_stem(stemmer, reinterpret_cast<const sb_symbol*>(word.data()),
                                          static_cast<int>(word.size()));
    if (symbols == nullptr) throw std::bad_alloc();
    const auto length = static_cast<std::size_t>(sb_stemmer_length(stemmer));
    return length == 0 ? word : std::string_view(reinterpret_cast<const char*>(symbols), length);
  }

  Stemmer english_ = make_stemmer("english"), russian_ = make_stemmer("russian");
  std::vector<Slot> slots_ = std::vector<Slot>(kSlots);
};

}  // namespace

std::string_view stem(std::string_view word, Alphabet alphabet) {
  if (alphabet == Alphabet::other) return word;
  static thread_local StemCache cache;
  return cache.stem(word, alphabet);
}

}  // namespace artcache::search
