// SPDX-License-Identifier: Apache-2.0
// Any bytes as what somebody searches for: refused for its length alone, and else the engine finds
// what the oracle says, in each mode.
#include <algorithm>
#include <array>
#include <artcache/backends.hpp>
#include <artcache/content.hpp>
#include <artcache/metadata_store.hpp>
#include <artcache/search_tokens.hpp>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/search/query.hpp"
#include "core/search/tokens.hpp"
#include "util/utf8.hpp"

namespace {

using namespace artcache;  // NOLINT: a program of one file

void require(bool good) {
  if (!good) std::abort();
}

/// Names, tags and texts in two alphabets, with what could be taken for the grammar of an engine.
std::vector<FileEntry> make_entries() {
  const std::array<const char*, 6> names{"quarterly_report-2024.final.pdf",
                                         "Отчёт за квартал.docx",
                                         "a OR b.txt",
                                         "NEAR(plan 7)*.md",
                                         "x'); --.sql",
                                         "Ёлка ÆSIR Straße.png"};
  std::vector<FileEntry> entries;
  for (std::size_t n = 0; n < 60; ++n) {
    FileEntry& entry = entries.emplace_back();
    FileId::Bytes id{};
    id.fill(static_cast<std::uint8_t>(n + 1));
    id[6] = 0x40;
    id[8] = 0x80;
    entry.id = FileId(id);
    entry.original_filename = names[n % names.size()];
    entry.storage_filename = "f" + std::to_string(n);
    entry.created_at = Timestamp(std::chrono::seconds(1'700'000'000 + static_cast<int>(n)));
    entry.updated_at = entry.created_at;
    entry.created_by_username = n % 2 == 0 ? "i.petrova" : "a.smith";
    if (n % 3 == 0) entry.tags = {"finance", "финансы", "tag " + std::to_string(n % 5)};
    if (n % 4 == 0) entry.description = "running runs of reports, договоры и отчёты";
  }
  return entries;
}

/// An index with the entries, made once.
struct Engine {
  Engine() {
    index = Backends::builtin().open_index(Url::parse("mem:").value(), {}, {}).value();
    std::vector<EntryChange> changes;
    for (const FileEntry& entry : entries) {
      EntryChange& change = changes.emplace_back();
      change.id = entry.id;
      change.put = prepare(entry);
    }
    require(index->apply({.changes = changes}, {}).has_value());
  }
  const std::vector<FileEntry> entries = make_entries();
  std::unique_ptr<MetadataStore> index;
};

void check_token(std::string_view token) {
  require(!token.empty() && token.size() <= search::kTokenSizeMost);
  for (const char c : token)
    require((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || static_cast<signed char>(c) < 0);
  require(util::utf8_valid_prefix(token) == token.size());
}

void check_mode(const Engine& engine, std::string_view text, MatchMode mode) {
  const auto query = search_query(text, mode);
  const auto page = engine.index->search({.query = std::string(text), .mode = mode}, {});
  if (!query) {
    require(query.error().code == Errc::invalid_argument);
    require(!page && page.error().code == Errc::invalid_argument);
    return;
  }
  for (const std::string& stem : query->stems) check_token(stem);
  if (query->beginning) check_token(query->beginning->stem);
  if (query->beginning) check_token(query->beginning->letters);
  require(page.has_value());
  unsigned last = 5;
  for (const IndexedEntry& row : page->entries) {
    const unsigned rank = search_rank(*query, row.entry);
    require(rank > 0 && rank <= last);
    last = rank;
  }
  const auto found = [&](const FileEntry& entry) { return search_rank(*query, entry) > 0; };
  require(page->total == static_cast<std::uint64_t>(std::ranges::count_if(engine.entries, found)));
}

void check(std::string_view text) {
  static const Engine engine;
  for (const MatchMode mode : {MatchMode::words, MatchMode::prefix, MatchMode::exact})
    check_mode(engine, text, mode);
  std::string tokens;
  search::append_tokens(tokens, text);
  for (std::string_view rest = tokens; !rest.empty();) {
    const std::string_view token = rest.substr(0, rest.find(' '));
    check_token(token);
    rest.remove_prefix(std::min(rest.size(), token.size() + 1));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  check({reinterpret_cast<const char*>(data), size});
  return 0;
}
