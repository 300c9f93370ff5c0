// SPDX-License-Identifier: Apache-2.0
#include "core/reconcile/check.hpp"

#include <algorithm>

#include "core/reconcile/data_check.hpp"
#include "core/reconcile/findings.hpp"
#include "core/reconcile/found_set.hpp"
#include "core/reconcile/name_table.hpp"
#include "util/try.hpp"

namespace artcache::reconcile {
namespace {

/// Data files and sidecars whose paths are held at once, because something is wrong with them.
constexpr std::size_t kNamesAtOnce = 100'000;

/// One check. A first walk compares, and opens what looks different for a second look; what data
/// files have wrong shows in hashes of names, so a second listing finds the names.
class Check final : public WalkTaker {
 public:
  Check(const Context& context, const CheckRequest& request, Session& session)
      : context_(context),
        request_(request),
        session_(session),
        call_(session.call()),
        tally_(context),
        meter_(context, request.progress, session.call()),
        findings_(context, request, session, tally_),
        found_(context.settings.found_most, random_seed()),
        names_(context.settings.found_most * 2) {}

  Result<ConsistencyReport> run();

  Result<void> listed(std::span<const ListedFile> sidecars,
                      std::span<const std::optional<ScannedFile>> scanned,
                      std::vector<char>& open) override;
  void other_files(std::span<const ListedFile> files) override;
  void not_seen(const ListProblem& problem) override {
    if (first_walk_) tally_.not_seen(problem);
  }
  Result<void> opened(Chunk& chunk) override;
  Result<void> pause() override {
    meter_.report();
    return findings_.step(meter_.text());
  }

 private:
  struct Row {
    FileId id;
    std::uint64_t revision = 0;
  };

  Result<void> compare_part(std::uint32_t part);
  Result<void> look_at(const Opened& file, const std::optional<RowBrief>& row);
  Result<bool> is_twin(const std::string& path, const PreparedEntry& put, const RowBrief& row);
  Result<void> scan_rows();
  Result<void> confirm_orphans();
  Result<void> name_data_files();
  Result<void> name_some(std::span<const NameTable::Name> names);
  Result<void> name_promised(std::span<const std::string> sidecars);
  Result<void> name_unpromised(const std::string& path);

  const Context& context_;
  const CheckRequest& request_;
  Session& session_;
  const Call& call_;
  Tally tally_;
  Meter meter_;
  Findings findings_;

  util::Mutex mutex_;  // of the two tables while a walk goes on
  FoundSet found_;
  NameTable names_;
  std::vector<Row> absent_;
  bool first_walk_ = true;
  std::atomic<std::uint64_t> sidecars_{0};
};

Result<ConsistencyReport> Check::run() {
  ARTCACHE_TRY(Stopwatch watch, Stopwatch::start(context_, call_));
  ConsistencyReport report;
  report.suspect_reason = watch.before().suspect_reason;
  ARTCACHE_CHECK(findings_.begin(watch.before().position));
  meter_.phase("comparing", watch.before().count);
  ARTCACHE_CHECK(compare_part(0));
  for (std::uint32_t part = 1; part < std::max(found_.parts(), names_.parts()); ++part)
    ARTCACHE_CHECK(compare_part(part));
  if (request_.data == DataCheck::checksums) {
    meter_.phase("verifying data", watch.before().bytes);
    const auto differs = [this](Finding finding) {
      findings_.add(std::move(finding));
      return findings_.step(meter_.text());
    };
    ARTCACHE_TRY(report.data_files_verified, verify_data(context_, session_, tally_, differs));
  }
  ARTCACHE_CHECK(findings_.end(report));
  ARTCACHE_TRY(report.verdict, watch.stop(tally_, call_));
  report.total_cache_entries = watch.after().count;
  report.total_attr_files = sidecars_.load() - report.count(FindingKind::unreadable);
  report.errors = tally_.messages();
  return report;
}

Result<void> Check::compare_part(std::uint32_t part) {
  found_.begin(part);
  names_.begin(part);
  first_walk_ = part == 0;
  WalkPlan plan = context_.plan();
  plan.list = {.what = ListWhat::all};
  ARTCACHE_CHECK(walk(plan, *this, call_));
  found_.seal();
  ARTCACHE_CHECK(scan_rows());
  ARTCACHE_CHECK(confirm_orphans());
  return name_data_files();
}

/// What is as it was when it was read last, and as the index says, need not be opened.
Result<void> Check::listed(std::span<const ListedFile> sidecars,
                           std::span<const std::optional<ScannedFile>> scanned,
                           std::vector<char>& open) {
  std::vector<FileId> ids;
  std::vector<std::size_t> at;
  for (std::size_t i = 0; i < sidecars.size(); ++i) {
    open[i] = !scanned[i] || scanned[i]->stamp != sidecars[i].stamp;
    if (open[i] != 0) continue;
    ids.push_back(scanned[i]->id);
    at.push_back(i);
  }
  std::vector<std::optional<RowBrief>> rows;
  if (!ids.empty()) {
    ARTCACHE_TRY(rows, context_.index.briefs(ids, call_));
  }
  if (first_walk_) {
    sidecars_.fetch_add(sidecars.size(), std::memory_order_relaxed);
    meter_.add(sidecars.size());
  }
  const util::MutexLock lock(mutex_);
  for (std::size_t n = 0; n < ids.size(); ++n) {
    const std::size_t i = at[n];
    const ScannedFile& known = *scanned[i];
    if (!rows[n] || rows[n]->hash != known.hash) {
      open[i] = 1;
      continue;
    }
    if (first_walk_ && is_misnamed(known.path, known.id))
      tally_.message(misnamed_text(known.path, known.id));
    found_.add(known.id, known.hash, known.path);
    names_.add_sidecar(found_.hash_of(data_path_of(sidecars[i].path)), rows[n]->file_size);
  }
  return {};
}

void Check::other_files(std::span<const ListedFile> files) {
  const util::MutexLock lock(mutex_);
  for (const ListedFile& file : files) names_.add_data(found_.hash_of(file.path), file.stamp.size);
}

Result<void> Check::opened(Chunk& chunk) {
  std::vector<FileId> ids;
  for (const Opened& file : chunk.files) ids.push_back(file.put ? file.put->entry.id : FileId());
  ARTCACHE_TRY(const auto rows, context_.index.briefs(ids, call_));
  for (std::size_t i = 0; i < chunk.files.size(); ++i) {
    const Opened& file = chunk.files[i];
    ARTCACHE_CHECK(look_at(file, rows[i]));
    const util::MutexLock lock(mutex_);
    const std::uint64_t name = found_.hash_of(data_path_of(file.path));
    if (file.put) {
      found_.add(file.put->entry.id, file.put->hash, file.path);
      names_.add_sidecar(name, file.put->entry.file_size);
    } else if (file.put.error().code != Errc::not_found) {
      if (file.known) found_.add_opaque(file.known->id, file.path);
      names_.add_sidecar(name, NameTable::kUnknownSize);
    }
  }
  return {};
}

Result<void> Check::look_at(const Opened& file, const std::optional<RowBrief>& row) {
  if (!first_walk_) return {};
  if (!file.put) {
    const Error& error = file.put.error();
    if (error.code == Errc::not_found) {
      sidecars_.fetch_sub(1, std::memory_order_relaxed);
    } else {
      if (error.code == Errc::unavailable) tally_.not_seen(file.path, error);
      const auto id = file.known ? std::optional(file.known->id) : std::nullopt;
      findings_.add({FindingKind::unreadable, id, file.path, to_string(error)});
    }
    return {};
  }
  const FileId& id = file.put->entry.id;
  if (file.misnamed) tally_.message(misnamed_text(file.path, id));
  if (!row) {
    findings_.add({FindingKind::orphan_attr, id, file.path, "the index has no such entry"});
  } else if (row->hash != file.put->hash) {
    ARTCACHE_TRY(const bool twin, is_twin(file.path, *file.put, *row));
    if (!twin)
      findings_.add({FindingKind::stale, id, file.path, "the entry differs from its sidecar"});
  }
  return {};
}

/// Two sidecars with one id are no inconsistency of the index: the newer one counts.
Result<bool> Check::is_twin(const std::string& path, const PreparedEntry& put,
                            const RowBrief& row) {
  if (row.sidecar_path == path || put.entry.updated_at > row.updated_at) return false;
  ARTCACHE_TRY(const Standing own, context_.standing(row.sidecar_path, put.entry.id, session_));
  const bool stands = own == Standing::may_tell;
  if (stands)
    tally_.message("'" + path + "' tells of the same id as '" + row.sidecar_path +
                   "'; remove the one that is wrong");
  return stands;
}

/// Every entry against what was found: which have no sidecar, and which have expired.
Result<void> Check::scan_rows() {
  absent_.clear();
  std::uint64_t beyond = 0;
  const Timestamp now = context_.now();
  std::vector<FileId> expired;
  const auto look = [&](std::span<const KeyAndHash> rows) -> Result<void> {
    for (const KeyAndHash& row : rows) {
      if (!found_.holds(row.id)) continue;
      const bool absent = found_.match(row.id, row.hash) == Match::absent;
      if (absent && absent_.size() < context_.settings.found_most)
        absent_.push_back({row.id, row.revision});
      else
        beyond += absent ? 1 : 0;
      if (row.freshness.expired(now))
        findings_.add({FindingKind::expired, row.id, "", "not compared for longer than its TTL"});
    }
    return findings_.step(meter_.text());
  };
  ARTCACHE_CHECK(context_.index.scan(look, call_));
  if (beyond > 0)
    tally_.not_seen("index", Error{Errc::unsupported, "the sidecars of " + std::to_string(beyond) +
                                                          " entries more were not looked for"});
  return {};
}

Result<void> Check::confirm_orphans() {
  const std::span<const Row> all = absent_;
  for (std::size_t at = 0; at < all.size(); at += kChunk) {
    ARTCACHE_CHECK(pause());
    const auto rows = all.subspan(at, std::min(kChunk, all.size() - at));
    std::vector<FileId> ids;
    for (const Row& row : rows) ids.push_back(row.id);
    ARTCACHE_TRY(const auto briefs, context_.index.briefs(ids, call_));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (!briefs[i] || briefs[i]->revision != rows[i].revision) continue;
      const std::string& path = briefs[i]->sidecar_path;
      const auto stands = context_.storage.stat(path, call_);
      if (!stands) {
        tally_.not_seen(path, stands.error());
        continue;
      }
      ARTCACHE_TRY(const Standing own, *stands ? context_.standing(path, ids[i], session_)
                                               : Result<Standing>(Standing::gone));
      if (own == Standing::gone)
        findings_.add({FindingKind::orphan_cache, ids[i], path, "the entry has no sidecar"});
      else if (own == Standing::another)
        findings_.add({FindingKind::orphan_cache, ids[i], path, kTellsOfAnother});
    }
  }
  return {};
}

// --- Data files ---------------------------------------------------------------------------------

/// Lists again, and looks closely at the names that something is wrong with: so many at once as
/// memory is there for, however much is wrong.
Result<void> Check::name_data_files() {
  const auto names = names_.conspicuous();
  for (std::size_t at = 0; at < names.size(); at += kNamesAtOnce)
    ARTCACHE_CHECK(name_some(names.subspan(at, std::min(kNamesAtOnce, names.size() - at))));
  return {};
}

Result<void> Check::name_some(std::span<const NameTable::Name> names) {
  std::vector<std::string> sidecars, others;
  const auto look = [&](const ListBatch& batch) -> Result<void> {
    for (const ListedFile& file : batch.files) {
      const bool sidecar = is_sidecar_path(file.path);
      const std::string_view data = sidecar ? data_path_of(file.path) : file.path;
      const std::uint64_t name = found_.hash_of(data) & ~std::uint64_t{1};
      if (!std::ranges::binary_search(names, name, {}, &NameTable::Name::hash)) continue;
      const util::MutexLock lock(mutex_);
      (sidecar ? sidecars : others).emplace_back(file.path);
    }
    return {};
  };
  ARTCACHE_CHECK(context_.storage.list({.what = ListWhat::all, .stamps = ListStamps::not_needed},
                                       look, call_));
  for (std::size_t at = 0; at < sidecars.size(); at += kChunk)
    ARTCACHE_CHECK(
        name_promised(std::span(sidecars).subspan(at, std::min(kChunk, sidecars.size() - at))));
  for (std::size_t i = 0; i < others.size(); ++i) {
    if (i % kChunk == 0) ARTCACHE_CHECK(pause());
    ARTCACHE_CHECK(name_unpromised(others[i]));
  }
  return {};
}

/// Whether the data files that sidecars tell of are there, and as large as they say.
Result<void> Check::name_promised(std::span<const std::string> sidecars) {
  ARTCACHE_CHECK(pause());
  std::vector<Wanted> wanted;
  for (const std::string& sidecar : sidecars)
    if (!findings_.is_pending(data_path_of(sidecar))) wanted.push_back({sidecar});
  ARTCACHE_TRY(const Chunk chunk, read_chunk(context_.plan(session_), std::move(wanted), call_));
  for (const Opened& file : chunk.files) {
    if (!file.put) continue;
    const FileEntry& entry = file.put->entry;
    const std::string path(data_path_of(file.path));
    const auto data = context_.storage.stat(path, call_);
    if (!data) {
      tally_.not_seen(path, data.error());
    } else if (!*data) {
      findings_.add({FindingKind::missing_data, entry.id, path, "the data file is gone"});
    } else if ((*data)->stamp.size != entry.file_size) {
      findings_.add({FindingKind::size_mismatch, entry.id, path,
                     "it has " + std::to_string((*data)->stamp.size) + " bytes, its sidecar says " +
                         std::to_string(entry.file_size)});
    }
  }
  return {};
}

/// Whether a data file has no sidecar.
Result<void> Check::name_unpromised(const std::string& path) {
  if (findings_.is_pending(path)) return {};
  const auto data = context_.storage.stat(path, call_);
  if (!data || !*data) return {};
  ARTCACHE_TRY(const bool stands, context_.may_stand(path + std::string(kSidecarSuffix), call_));
  if (!stands) findings_.add({FindingKind::orphan_data, std::nullopt, path, "it has no sidecar"});
  return {};
}

}  // namespace

Result<ConsistencyReport> check(const Context& context, const CheckRequest& request,
                                Session& session) {
  return Check(context, request, session).run();
}

}  // namespace artcache::reconcile
