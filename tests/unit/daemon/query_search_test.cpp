// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iterator>
#include <random>

#include "query_bench.hpp"
#include "roles/query/search.hpp"

using namespace artcache;
using namespace artcache::query;
using test::sample_entry;
using test::sample_id;

namespace {

struct Known {
  FileEntry entry;
  std::string element;
};

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
std::string folded(std::string text) {
  std::ranges::transform(text, text.begin(), lower);
  return text;
}

bool has_extension(const FileEntry& entry, std::string_view extension) {
  if (extension.starts_with('.')) extension.remove_prefix(1);
  return folded(entry.original_filename).ends_with("." + folded(std::string(extension)));
}

bool passes(const FileSearch& search, const Known& known) {
  const EntryFilter& f = search.filter;
  const FileEntry& e = known.entry;
  const auto has_tag = [&](const std::string& tag) { return std::ranges::count(e.tags, tag) > 0; };
  return (!search.element || *search.element == known.element) &&
         (!f.username || *f.username == e.created_by_username) &&
         (!f.content_type || *f.content_type == e.content_type) &&
         (!f.retention_policy || f.retention_policy == e.retention_policy) &&
         (!f.filename || *f.filename == e.original_filename) &&
         (!f.size_least || *f.size_least <= e.file_size) &&
         (!f.size_most || *f.size_most >= e.file_size) &&
         (!f.created_from || *f.created_from <= e.created_at) &&
         (!f.created_until || *f.created_until > e.created_at) && (!f.tag || has_tag(*f.tag)) &&
         std::ranges::all_of(search.tags, has_tag) &&
         (!f.extension || has_extension(e, *f.extension));
}

/// What a search finds when every file is looked at: "element/id", in order.
std::vector<std::string> plain_scan(const FileSearch& search, const std::vector<Known>& all) {
  struct Hit {
    unsigned rank;
    const Known* known;
  };
  std::vector<Hit> hits;
  for (const Known& known : all) {
    const unsigned rank =
        search.query ? search_rank(must(search_query(*search.query, search.mode)), known.entry) : 1;
    if (rank > 0 && passes(search, known)) hits.push_back({rank, &known});
  }
  const auto key = [&](const Hit& hit) {
    const FileEntry& e = hit.known->entry;
    const bool by_name = search.sort == SortBy::filename;
    std::int64_t number = 0;
    if (search.sort == SortBy::relevance) number = hit.rank;
    if (search.sort == SortBy::updated_at) number = e.updated_at.micros();
    if (search.sort == SortBy::file_size) number = static_cast<std::int64_t>(e.file_size);
    return std::tuple(by_name ? e.original_filename : "", number, e.created_at, to_string(e.id),
                      hit.known->element);
  };
  std::ranges::sort(hits, [&](const Hit& a, const Hit& b) {
    return search.order == SortOrder::ascending ? key(a) < key(b) : key(b) < key(a);
  });
  std::vector<std::string> out;
  for (const Hit& hit : hits)
    out.push_back(hit.known->element + "/" + to_string(hit.known->entry.id));
  return out;
}

std::vector<std::string> names_of(const FilePage& page) {
  std::vector<std::string> out;
  for (const FoundFile& file : page.files)
    out.push_back(file.element + "/" + to_string(file.entry.id));
  return out;
}

class Files {
 public:
  Files() {
    for (const char* element : {"se-01", "se-02"}) {
      const auto source = bench.source(element);
      for (std::uint64_t n = 0; n < 60; ++n) {
        Known known{sample_entry(n + (std::string_view(element) == "se-02" ? 40U : 0U)), element};
        if (n % 6 == 0) known.entry.description = "about the invoice of finance";
        source->put(known.entry);
        all.push_back(std::move(known));
      }
      Bench::catch_up(source->log(), *bench.sink(element));
    }
  }
  FilePage search(const FileSearch& what) {
    return must(bench.database->read({}, [&](Session& s) { return search_files(s, what); }));
  }

  Bench bench;
  std::vector<Known> all;
};

/// One of several, or nothing.
template <class T>
std::optional<T> maybe(std::mt19937& random, std::initializer_list<T> some) {
  const std::size_t at = random() % (some.size() * 4);
  return at < some.size() ? std::optional(*std::next(some.begin(), static_cast<long>(at)))
                          : std::nullopt;
}

FileSearch any_search(std::mt19937& random) {
  FileSearch out;
  out.query = maybe<std::string>(
      random, {"report", "quarterly 2024", "отчет", "inv", "finance", "invoice finance", "petrov",
               "plan.txt", "Договор.pdf", to_string(sample_id(45)), "  ", "tag4", "nowhere"});
  out.mode = std::array{MatchMode::words, MatchMode::prefix, MatchMode::exact}[random() % 3];
  out.filter.username = maybe<std::string>(random, {"a.smith", "svc-ingest", "nobody"});
  out.filter.content_type = maybe<std::string>(random, {"application/pdf", "text/plain"});
  out.filter.extension = maybe<std::string>(random, {"pdf", ".TXT", "p_f", "docx"});
  out.filter.retention_policy = maybe<std::string>(random, {"temporary"});
  out.filter.size_least = maybe<std::uint64_t>(random, {300, UINT64_MAX});
  out.filter.size_most = maybe<std::uint64_t>(random, {400, 200});
  const auto at = [](std::uint64_t n) { return sample_entry(n).created_at; };
  out.filter.created_from = maybe<Timestamp>(random, {at(20), at(70)});
  out.filter.created_until = maybe<Timestamp>(random, {at(50)});
  if (const auto tag = maybe<std::string>(random, {"finance", "tag4", "tag%"})) out.tags = {*tag};
  if (!out.tags.empty() && random() % 2 == 0) out.tags.emplace_back("finance");
  out.element = maybe<std::string>(random, {"se-02"});
  out.sort = static_cast<SortBy>(random() % 5);
  out.order = static_cast<SortOrder>(random() % 2);
  out.limit = kPageMost;
  return out;
}

}  // namespace

TEST_SUITE("query search") {
  TEST_CASE("a search finds what a plain scan finds, in its order") {
    Files files;
    std::mt19937 random(11);
    std::size_t found = 0;
    for (int i = 0; i < 600; ++i) {
      const FileSearch search = any_search(random);
      const FilePage page = files.search(search);
      const auto expected = plain_scan(search, files.all);
      INFO("search " << i << ": " << search.query.value_or("(all)"));
      REQUIRE(names_of(page) == expected);
      CHECK(page.total == expected.size());
      CHECK(page.total_kind == TotalKind::exact);
      if (!expected.empty()) ++found;
    }
    CHECK(found > 100);
  }

  TEST_CASE("pages follow each other without a gap, and each tells the total") {
    Files files;
    FileSearch search{.query = "pdf", .limit = 7};
    const auto expected = plain_scan(search, files.all);
    std::vector<std::string> seen;
    for (; search.offset < expected.size(); search.offset += search.limit) {
      const FilePage page = files.search(search);
      CHECK(page.total == expected.size());
      for (const std::string& name : names_of(page)) seen.push_back(name);
    }
    CHECK(seen == expected);
    search.offset = 10'000;
    CHECK(files.search(search).total == expected.size());
  }

  TEST_CASE("an id finds its files on every element, before all others") {
    Files files;
    const FilePage page = files.search({.query = to_string(sample_id(45))});
    REQUIRE(page.files.size() == 2);
    CHECK(page.files[0].rank == 4);
    CHECK(page.files[0].entry.id == sample_id(45));
    CHECK(page.files[1].entry.id == sample_id(45));
  }

  TEST_CASE("words that a file has lost do not find it any more") {
    Bench bench;
    const auto source = bench.source("se-01");
    FileEntry entry = sample_entry(1);
    entry.original_filename = "alpha.txt";
    source->put(entry);
    const auto sink = bench.sink("se-01");
    Bench::catch_up(source->log(), *sink);
    entry.original_filename = "beta.txt";
    source->put(entry);
    Bench::catch_up(source->log(), *sink);
    const auto total = [&](const char* query) {
      return must(bench.database->read(
                      {}, [&](Session& s) { return search_files(s, {.query = query}); }))
          .total;
    };
    CHECK(total("alpha") == 0);
    CHECK(total("beta") == 1);
    source->remove(entry.id);
    Bench::catch_up(source->log(), *sink);
    CHECK(total("beta") == 0);
  }

  TEST_CASE("a page that is too large, or a query that is too long, is refused") {
    Bench bench;
    const auto code = [&](const FileSearch& search) {
      return bench.database->read({}, [&](Session& s) { return search_files(s, search); })
          .error()
          .code;
    };
    CHECK(code({.limit = kPageMost + 1}) == Errc::invalid_argument);
    CHECK(code({.query = std::string(2000, 'a')}) == Errc::invalid_argument);
  }
}
