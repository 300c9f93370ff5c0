// SPDX-License-Identifier: Apache-2.0
// What every sink makes of the rows of a log.
#include <artcache/content.hpp>
#include <artcache/follower.hpp>
#include <unordered_map>

#include "util/try.hpp"

namespace artcache {

Result<PreparedEntry> believe(const Record& record) {
  ARTCACHE_TRY(const FileId id, FileId::parse(record.key));
  ARTCACHE_TRY(FileEntry entry, parse_content(record.payload));
  PreparedEntry file = prepare(std::move(entry));
  if (file.entry.id != id || to_string(id) != record.key)
    return Error{Errc::corrupt, "follow: the record speaks of another file"};
  if (file.hash != record.hash)
    return Error{Errc::corrupt, "follow: the record does not have the hash it came with"};
  return file;
}

bool refuses_record(const Error& error) {
  return error.code == Errc::invalid_argument || error.code == Errc::corrupt;
}

std::vector<const LogRow*> last_of_each(std::span<const LogRow> rows) {
  std::unordered_map<std::string_view, const LogRow*> last;
  for (const LogRow& row : rows)
    if (row.kind != LogRow::Kind::reset) last[row.record.key] = &row;
  std::vector<const LogRow*> out;
  out.reserve(last.size());
  for (const LogRow& row : rows)
    if (const auto at = last.find(row.record.key); at != last.end() && at->second == &row)
      out.push_back(&row);
  return out;
}

bool adds_record(const LogRow& row, const Digest& before) {
  if (row.kind != LogRow::Kind::put) return false;
  // The digest is a sum: nothing was taken out of it for a record that was not there.
  Digest added = row.position.digest;
  added -= before;
  return added == Digest::of(row.record.key, row.record.hash);
}

}  // namespace artcache
