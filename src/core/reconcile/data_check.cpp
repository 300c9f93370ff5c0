// SPDX-License-Identifier: Apache-2.0
#include "core/reconcile/data_check.hpp"

#include <vector>

#include "util/hash.hpp"
#include "util/try.hpp"

namespace artcache::reconcile {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{1024} * 1024;
constexpr std::uint32_t kPage = 500;

/// Nothing where the file has another size by now, or none: a listing tells of that.
Result<std::optional<Sha256Sum>> sum_of(const Context& context, const std::string& path,
                                        std::uint64_t size, std::vector<std::byte>& buffer,
                                        Session& session) {
  ARTCACHE_TRY(const auto reader, context.storage.open(path, {}, session.call()));
  if (reader->info().stamp.size != size) return std::optional<Sha256Sum>();
  util::Sha256 sum;
  while (true) {
    ARTCACHE_CHECK(session.step("verifying data: " + path));
    ARTCACHE_TRY(const std::size_t got, reader->read(buffer, session.call()));
    if (got == 0) break;
    ARTCACHE_CHECK(session.take(context.budget, 0, got));
    sum.update({buffer.data(), got});
  }
  return std::optional(Sha256Sum{sum.finish()});
}

}  // namespace

Result<std::uint64_t> verify_data(const Context& context, Session& session, Tally& tally,
                                  const std::function<Result<void>(Finding)>& find) {
  std::vector<std::byte> buffer(kBufferBytes);
  std::vector<FileId> ids;
  std::uint64_t verified = 0;
  PageRequest request{.limit = kPage};
  do {
    ARTCACHE_TRY(const EntryPage page, context.index.page(request, session.call()));
    ids.clear();
    for (const IndexedEntry& row : page.entries) ids.push_back(row.entry.id);
    // A file lies beside its sidecar, wherever that has been moved.
    ARTCACHE_TRY(const auto briefs, context.index.briefs(ids, session.call()));
    for (std::size_t i = 0; i < page.entries.size(); ++i) {
      const IndexedEntry& row = page.entries[i];
      if (!briefs[i]) continue;
      ARTCACHE_CHECK(session.take(context.budget, 1, 0));
      const std::string path(data_path_of(briefs[i]->sidecar_path));
      const auto sum = sum_of(context, path, row.entry.file_size, buffer, session);
      if (!sum) {
        const Errc code = sum.error().code;
        if (code == Errc::lease_lost || code == Errc::cancelled || code == Errc::timed_out ||
            code == Errc::busy)
          return sum.error();
        if (code != Errc::not_found) tally.not_seen(path, sum.error());
        continue;
      }
      if (!*sum) continue;
      ++verified;
      if (**sum != row.entry.checksum)
        ARTCACHE_CHECK(find({FindingKind::bad_checksum, row.entry.id, path,
                             "its bytes have SHA-256 " + to_string(**sum)}));
    }
    request.cursor = page.next_cursor;
  } while (!request.cursor.empty());
  return verified;
}

}  // namespace artcache::reconcile
