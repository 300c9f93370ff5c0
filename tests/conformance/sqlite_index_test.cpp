// SPDX-License-Identifier: Apache-2.0
// What only an index in SQLite can meet: files that are none, damage, full disks, foreign folders.
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "backends/sqlite/index.hpp"
#include "conformance/index_suite.hpp"
#include "support/crash_vfs.hpp"
#include "support/leaving_out.hpp"
#include "support/sample_entry.hpp"
#include "support/temp_dir.hpp"

using namespace artcache;
using namespace artcache::test;

namespace {

Result<std::unique_ptr<MetadataStore>> try_open(const std::string& address) {
  const auto url = Url::parse(address);
  if (!url) return url.error();
  return Backends::builtin().open_index(*url, {}, Call().within(std::chrono::seconds(20)));
}

template <class T>
std::optional<Errc> code_of(const Result<T>& result) {
  return result ? std::nullopt : std::optional(result.error().code);
}

Errc code_of_opening(const std::string& address) {
  return code_of(try_open(address)).value_or(Errc::internal);
}

Result<ApplyResult> put_many(MetadataStore& index, std::uint64_t from, std::uint64_t to) {
  std::vector<EntryChange> changes;
  std::vector<ScannedFile> scanned;
  for (std::uint64_t n = from; n < to; ++n) {
    changes.push_back(put_of(sample_entry(n)));
    scanned.push_back(scanned_of(changes.back().put));
  }
  return index.apply({.changes = changes, .scanned = scanned}, {});
}

Digest sum_of(MetadataStore& index) {
  return good(index.bucket_digests(0, nullptr, {})).front().digest;
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_file(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

void remove_files(const std::string& path) {
  for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(path + end);
}

/// The bytes of a closed index of `rows` rows.
std::string made_index(const TempDir& folder, std::uint64_t rows) {
  const std::string file = folder / "made.db";
  good(put_many(*open_index("sqlite://" + file), 0, rows));
  return read_file(file);
}

struct Answers {
  int right = 0, corrupt = 0, wrong = 0;
};

/// Asks for each row of a damaged index.
Answers ask_all(const std::string& file, std::uint64_t rows) {
  Answers answers;
  const auto index = try_open("sqlite://" + file);
  if (!index) {
    ++(index.error().code == Errc::corrupt ? answers.corrupt : answers.wrong);
    return answers;
  }
  for (std::uint64_t n = 0; n < rows; ++n) {
    const auto found = (*index)->find(sample_id(n), {});
    if (!found)
      ++(found.error().code == Errc::corrupt ? answers.corrupt : answers.wrong);
    else
      ++(*found && (*found)->entry == sample_entry(n) ? answers.right : answers.wrong);
  }
  const auto page = (*index)->page({.limit = kPageMost}, {});
  if (page ? page->entries.size() != rows : page.error().code != Errc::corrupt) ++answers.wrong;
  (void)(*index)->search({.query = "plan"}, {});
  (void)(*index)->snapshot([](auto) -> Result<void> { return {}; }, {});
  (void)put_many(**index, 1000, 1010);
  return answers;
}

/// Runs in a process of its own; true when it returned true.
template <class F>
bool in_child(const F& work) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(work() ? 0 : 1);
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::size_t files_in(const std::string& folder) {
  const std::filesystem::directory_iterator files(folder);
  return static_cast<std::size_t>(std::distance(begin(files), end(files)));
}

/// Fills an index until the disk is full, frees space, and goes on.
void fill_up(MetadataStore& index, const std::function<void()>& free_space) {
  std::uint64_t rows = 0;
  Result<ApplyResult> last = put_many(index, 0, 50);
  for (; last && rows < 100'000; last = put_many(index, rows, rows + 50)) rows += 50;
  REQUIRE_FALSE(last.has_value());
  CHECK(last.error().code == Errc::no_space);
  CHECK(last.error().outcome == Outcome::not_applied);
  const IndexHead full = good(index.head({}));
  CHECK(full.count == rows);
  CHECK(full.position.digest == sum_of(index));
  CHECK_FALSE(good(index.find(sample_id(rows), {})).has_value());
  free_space();
  good(put_many(index, rows, rows + 50));
  CHECK(good(index.head({})).count == rows + 50);
  CHECK(good(index.head({})).position.digest == sum_of(index));
}

}  // namespace

TEST_SUITE("sqlite index") {
  TEST_CASE("a file that is no database is corrupt and stays as it is") {
    const TempDir folder;
    for (const std::string& text :
         {std::string("hello, I am no database at all. ") + std::string(5000, 'x'),
          std::string(9000, '\0')}) {
      write_file(folder / "x.db", text);
      CHECK(code_of_opening("sqlite://" + (folder / "x.db")) == Errc::corrupt);
      CHECK(read_file(folder / "x.db") == text);
    }
    CHECK(code_of_opening("sqlite://" + folder.path()) == Errc::invalid_argument);
    CHECK(code_of_opening("sqlite://" + (folder / "no/such/folder.db")) == Errc::not_found);
  }

  TEST_CASE("a truncated database gives the right answer or corrupt, never another") {
    const TempDir folder;
    const std::string whole = made_index(folder, 200);
    for (std::size_t size = 512; size < whole.size(); size += whole.size() / 40) {
      write_file(folder / "cut.db", whole.substr(0, size));
      const Answers answers = ask_all(folder / "cut.db", 200);
      INFO("cut at " << size << " of " << whole.size());
      CHECK(answers.wrong == 0);
      CHECK(answers.corrupt > 0);
      remove_files(folder / "cut.db");
    }
  }

  TEST_CASE("a damaged page gives corrupt, never another answer") {
    const TempDir folder;
    const std::string whole = made_index(folder, 200);
    constexpr std::size_t page = 4096;
    int noticed = 0;
    for (std::size_t at = 0; at + page <= whole.size(); at += page)
      for (const char byte : {'\0', '\x5a', '\xff'}) {
        std::string damaged = whole;
        damaged.replace(at, page, page, byte);
        write_file(folder / "bad.db", damaged);
        const Answers answers = ask_all(folder / "bad.db", 200);
        INFO("page " << at / page + 1 << " of " << whole.size() / page);
        CHECK(answers.wrong == 0);
        noticed += answers.corrupt > 0 ? 1 : 0;
        remove_files(folder / "bad.db");
      }
    CHECK(noticed > 10);
  }

  TEST_CASE(
      "a bit flipped in a text is corrupt for that row alone, and putting it again mends it") {
    const TempDir folder;
    const std::string whole = made_index(folder, 40);
    const std::string text = *sample_entry(38).description;
    int places = 0;
    for (std::size_t at = whole.find(text); at != std::string::npos;
         at = whole.find(text, at + 1)) {
      // Rows alone: the log has a copy of it.
      std::string damaged = whole;
      damaged[at + text.size() - 1] = static_cast<char>(damaged[at + text.size() - 1] ^ 1);
      write_file(folder / "bad.db", damaged);
      {
        const auto index = open_index("sqlite://" + (folder / "bad.db"));
        const auto found = index->find(sample_id(38), {});
        if (found) CHECK((*found)->entry == sample_entry(38));
        places += found ? 0 : 1;
        if (!found) {
          CHECK(found.error().code == Errc::corrupt);
          CHECK(found.error().message.find(to_string(sample_id(38))) != std::string::npos);
          CHECK(found.error().message.find("artcache rebuild") != std::string::npos);
        }
        CHECK(code_of(index->page({}, {})) == code_of(found));
        CHECK(code_of(index->search({.query = to_string(sample_id(38))}, {})) == code_of(found));
        CHECK(code_of(index->snapshot([](auto) -> Result<void> { return {}; }, {})) ==
              code_of(found));
        CHECK(good(index->find(sample_id(37), {}))->entry == sample_entry(37));
        const std::vector<EntryChange> again{remove_of(sample_id(38)), put_of(sample_entry(38))};
        good(index->apply({.changes = again}, {}));
        CHECK(good(index->find(sample_id(38), {}))->entry == sample_entry(38));
        CHECK(good(index->head({})).position.digest == sum_of(*index));
      }
      remove_files(folder / "bad.db");
    }
    CHECK(places == 1);
  }

  TEST_CASE("a newer schema is unsupported, and nothing is changed") {
    const TempDir folder;
    const std::string file = folder / "x.db";
    good(put_many(*open_index("sqlite://" + file), 0, 3));
    sqlite3* db = nullptr;
    REQUIRE(sqlite3_open(file.c_str(), &db) == SQLITE_OK);
    CHECK(sqlite3_exec(db, "UPDATE schema SET version = 9, reader = 9, writer = 9", nullptr,
                       nullptr, nullptr) == SQLITE_OK);
    sqlite3_close(db);
    const std::string before = read_file(file);
    CHECK(code_of_opening("sqlite://" + file) == Errc::unsupported);
    CHECK(read_file(file) == before);
  }

  TEST_CASE("a folder that cannot be written is unavailable, and nothing is changed") {
    if (::geteuid() != 0) return leave_out("root", "permissions are tried as another user");
    const TempDir folder;
    const std::string before = made_index(folder, 3);
    ::chmod(folder.path().c_str(), 0755);
    const std::size_t files = files_in(folder.path());
    for (const char* name : {"made.db", "new.db"})
      CHECK(in_child([&] {
        if (::seteuid(65534) != 0) return false;
        return code_of_opening("sqlite://" + (folder / name)) == Errc::unavailable;
      }));
    CHECK(read_file(folder / "made.db") == before);
    CHECK(files_in(folder.path()) == files);
  }

  TEST_CASE("a full disk is no_space: nothing is lost, and it goes on when there is space again") {
    CrashVfs vfs;
    sqlite::IndexOptions options;
    options.path = "x.db";
    options.vfs = vfs.name();
    const auto index = good(sqlite::open_index(options, {}, {}));
    vfs.limit_growth(2'000'000);
    fill_up(*index, [&] { vfs.limit_growth(-1); });
  }

  TEST_CASE("the same on a small file system") {
    const TempDir folder;
    if (::mount("tmpfs", folder.path().c_str(), "tmpfs", 0, "size=3m") != 0) return;
    {
      const auto index = open_index("sqlite://" + (folder / "x.db"));
      fill_up(*index, [&] {
        CHECK(::mount("tmpfs", folder.path().c_str(), "tmpfs", MS_REMOUNT, "size=30m") == 0);
      });
    }
    ::umount(folder.path().c_str());
  }

  TEST_CASE("a full disk in a bulk load leaves the old rows, and the next load works") {
    CrashVfs vfs;
    sqlite::IndexOptions options;
    options.path = "x.db";
    options.vfs = vfs.name();
    const auto index = good(sqlite::open_index(options, {}, {}));
    const Position before = good(put_many(*index, 0, 20)).position;
    std::vector<BulkLoad::Row> rows;
    for (std::uint64_t n = 0; n < 3000; ++n)
      rows.push_back({prepare(sample_entry(n)), sample_freshness(), {}});
    vfs.limit_growth(1'000'000);
    {
      const auto bulk = good(index->bulk_load(rows.size(), 0, {}));
      CHECK(code_of(bulk->add(rows, {})) == Errc::no_space);
    }
    CHECK(good(index->head({})).position == before);
    CHECK(before.digest == sum_of(*index));
    vfs.limit_growth(-1);
    const auto bulk = good(index->bulk_load(rows.size(), 0, {}));
    good(bulk->add(rows, {}));
    const Position after = good(bulk->finish({}));
    CHECK(after.digest == sum_of(*index));
  }

  TEST_CASE("an address with what nobody knows is refused by name") {
    const TempDir folder;
    const std::string address = "sqlite://" + (folder / "x.db");
    const auto unknown = try_open(address + "?perfix=a");
    REQUIRE_FALSE(unknown.has_value());
    CHECK(unknown.error().code == Errc::invalid_argument);
    CHECK(unknown.error().message.find("perfix") != std::string::npos);
    for (const char* bad :
         {"?prefix=a-b", "?prefix=a%22b", "?prefix=1a", "?prefix=sqlite", "?prefix=SQLite_x",
          "?log_rows=0", "?log_rows=many", "?sync=perhaps", "?log_age=-1"})
      CHECK_MESSAGE(code_of_opening(address + bad) == Errc::invalid_argument, bad);
    CHECK(code_of_opening(address + "?prefix=" + std::string(41, 'a')) == Errc::invalid_argument);
    for (const char* bad : {"sqlite:x.db", "sqlite://x.db", "sqlite://host/x.db", "mem:x",
                            "sqlite:///tmp/a%00b.db", "mem:?prefix=a-b"})
      CHECK_MESSAGE(code_of_opening(bad) == Errc::invalid_argument, bad);
    CHECK(files_in(folder.path()) == 0);
  }

  TEST_CASE("a description of 10 MB is kept, found and removed") {
    for_each_index([](IndexPlace&, MetadataStore& index) {
      FileEntry big = sample_entry(1);
      big.description = "unusualword ";
      while (big.description->size() < 10'000'000) big.description->append("much text again ");
      const EntryChange change = put_of(big);
      good(index.apply({.changes = {{change}}}, {}));
      CHECK(good(index.find(big.id, {}))->entry == big);
      CHECK(good(index.search({.query = "unusualword"}, {})).total == 1);
      CHECK(good(index.head({})).position.digest == sum_of(index));
      const EntryChange remove = remove_of(big.id);
      good(index.apply({.changes = {{remove}}}, {}));
      CHECK(good(index.search({.query = "unusualword"}, {})).total == 0);
      CHECK(good(index.head({})).position.digest == Digest());
    });
  }

  TEST_CASE("a NUL in a path or a name is kept apart from what ends there") {
    for_each_index([](IndexPlace&, MetadataStore& index) {
      FileEntry entry = sample_entry(1);
      entry.original_filename = std::string("plan\0more.txt", 13);
      const EntryChange change = put_of(entry);
      ScannedFile file = scanned_of(change.put), plain = file;
      file.path = std::string("a\0b/c\0d", 7);
      plain.path = "a";
      const std::vector<ScannedFile> files{file, plain};
      good(index.apply({.changes = {{change}}, .scanned = files}, {}));
      CHECK(good(index.find(entry.id, {}))->entry == entry);
      const std::string_view paths[] = {file.path, plain.path};
      const auto found = good(index.find_scanned(paths, {}));
      CHECK(found[0]->path == file.path);
      CHECK(found[1]->path == "a");
      CHECK(good(index.scanned_paths_of(entry.id, {})).size() == 2);
      CHECK(good(index.head({})).position.digest == sum_of(index));
    });
  }

  TEST_CASE("a name longer than any file system has is refused, and nothing is changed") {
    for_each_index([](IndexPlace&, MetadataStore& index) {
      good(put_many(index, 0, 3));
      const EntryChange change = put_of(sample_entry(9));
      ScannedFile file = scanned_of(change.put);
      file.path = "folder/" + std::string(70'000, 'x');
      CHECK(code_of(index.apply({.changes = {{change}}, .scanned = {{file}}}, {})) ==
            Errc::invalid_argument);
      const auto bulk = good(index.bulk_load(1000, 0, {}));
      const std::vector<BulkLoad::Row> rows{{change.put, sample_freshness(), file}};
      CHECK(code_of(bulk->add(rows, {})) == Errc::invalid_argument);
      CHECK(good(index.head({})).count == 3);
      good(index.scan_table({}, [](auto) -> Result<void> { return {}; }, {}));
    });
  }

  TEST_CASE("under a foreign fence nothing of an apply happens, and no bulk load begins") {
    for_each_index([](IndexPlace&, MetadataStore& index) {
      good(put_many(index, 0, 3));
      const IndexHead before = good(index.head({}));
      const std::vector<EntryChange> changes{remove_of(sample_id(1))};
      const std::string path = scanned_of(prepare(sample_entry(2))).path;
      const std::vector<std::string_view> unscanned{path};
      const ApplyRequest request{.changes = changes, .fence = 7, .unscanned = unscanned};
      CHECK(code_of(index.apply(request, {})) == Errc::lease_lost);
      CHECK(code_of(index.bulk_load(1000, 7, {})) == Errc::lease_lost);
      CHECK(code_of(index.set_suspect("", 7, {})) == Errc::lease_lost);
      CHECK(good(index.head({})).position == before.position);
      CHECK(good(index.head({})).suspect_reason == before.suspect_reason);
      CHECK(good(index.find_scanned(unscanned, {})).front().has_value());
    });
  }

  TEST_CASE("a short age of the log keeps what is younger") {
    const TempDir folder;
    const auto index = open_index("sqlite://" + (folder / "x.db") + "?log_age=10m");
    for (std::uint64_t n = 0; n < 5; ++n) good(put_many(*index, n, n + 1));
    const IndexHead head = good(index->head({}));
    CHECK(head.oldest_seq == 1);
    CHECK(good(index->read_after({head.position.epoch, 0, Digest()}, 10, {})).rows.size() == 5);
  }

  TEST_CASE("a position whose own change is trimmed away is gone, since nothing can vouch for it") {
    const TempDir folder;
    const auto index = open_index("sqlite://" + (folder / "x.db") + "?log_rows=5");
    for (std::uint64_t n = 0; n < 20; ++n) good(put_many(*index, n, n + 1));
    const IndexHead head = good(index->head({}));
    const Position forged{head.position.epoch, head.oldest_seq - 1, Digest(1, 2)};
    CHECK(code_of(index->read_after(forged, 10, {})) == Errc::gone);
    const auto fresh = open_index("sqlite://" + (folder / "y.db"));
    const Position start{good(fresh->head({})).position.epoch, 0, Digest(1, 2)};
    CHECK(code_of(fresh->read_after(start, 10, {})) == Errc::gone);
    good(put_many(*fresh, 0, 3));
    CHECK(code_of(fresh->read_after(start, 10, {})) == Errc::gone);
  }

  TEST_CASE("two prefixes are two indexes in one file") {
    const TempDir folder;
    const std::string address = "sqlite://" + (folder / "x.db");
    const auto none = open_index(address);
    const auto one = open_index(address + "?prefix=se_01");
    const auto two = open_index(address + "?prefix=se_02");
    good(put_many(*one, 0, 10));
    good(put_many(*two, 5, 8));
    good(good(one->bulk_load(1000, 0, {}))->finish({}));
    CHECK(good(one->head({})).count + good(none->head({})).count == 0);
    CHECK(good(two->head({})).count == 3);
    CHECK(good(one->head({})).position.epoch != good(two->head({})).position.epoch);
    CHECK_FALSE(good(one->find(sample_id(6), {})).has_value());
    CHECK(good(two->find(sample_id(6), {})).has_value());
    CHECK(good(two->head({})).position.digest == sum_of(*two));
  }

  TEST_CASE("mem: leaves no file behind, used or refused") {
    const TempDir folder;
    const char* before = std::getenv("TMPDIR");
    const std::string kept = before != nullptr ? before : "/tmp";
    ::setenv("TMPDIR", folder.path().c_str(), 1);
    {
      const auto index = open_index("mem:");
      good(put_many(*index, 0, 100));
      CHECK(good(index->page({}, {})).total == 100);
    }
    CHECK(files_in(folder.path()) == 0);
    CHECK(code_of_opening("mem:?prefix=a-b") == Errc::invalid_argument);
    CHECK(files_in(folder.path()) == 0);
    ::setenv("TMPDIR", kept.c_str(), 1);
  }
}
