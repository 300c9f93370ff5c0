// SPDX-License-Identifier: Apache-2.0
// Any bytes as a sidecar: refused with an error that names a place, or read, written and changed
// without a loss.
#include <artcache/content.hpp>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/attr/sidecar.hpp"

namespace {

using artcache::Errc;
using artcache::FileEntry;
using artcache::Timestamp;
namespace attr = artcache::attr;

constexpr std::size_t kAnySize = std::size_t{1} << 30;
constexpr Timestamp kNow{std::chrono::seconds(1'772'446'272)};

void require(bool good) {
  if (!good) std::abort();
}

attr::Changes set_everything() {
  attr::Changes changes;
  changes.description = "новое \"описание\"\n";
  changes.version = "2";
  changes.metadata = R"({"k" : [1e400, "\ud83d\ude00"]})";
  changes.tags = {{"a", "ё"}};
  changes.retention_policy = "temporary";
  changes.ttl_days = 7;
  changes.retention_expires_at = kNow;
  changes.updated_at = kNow;
  return changes;
}

attr::Changes remove_everything() {
  attr::Changes changes;
  changes.description.emplace();
  changes.version.emplace();
  changes.metadata = "{}";
  changes.tags.emplace();
  changes.retention_policy.emplace();
  changes.ttl_days.emplace();
  changes.retention_expires_at.emplace();
  changes.updated_at = kNow;
  return changes;
}

/// The entry but for what changes and for names that lose or win by them.
FileEntry untouched_part(FileEntry entry) {
  entry.description.reset();
  entry.version.reset();
  entry.metadata.clear();
  entry.tags.clear();
  entry.retention_policy.reset();
  entry.ttl_days.reset();
  entry.retention_expires_at.reset();
  entry.updated_at = kNow;
  entry.unknown_members.clear();
  return entry;
}

void check_rewrite(std::string_view bytes, const FileEntry& before, const attr::Changes& changes) {
  const auto once = attr::rewrite(bytes, "fuzz", changes, kAnySize);
  if (!once) {  // only for a document that has as many members as there may be
    require(once.error().code == Errc::invalid_argument);
    require(before.unknown_members.size() > 9'000);
    return;
  }
  FileEntry after;
  require(attr::decode(*once, "fuzz", after).has_value());
  require(untouched_part(after) == untouched_part(before));
  require(after.updated_at == kNow);
  require(after.description == changes.description.value());
  require(after.ttl_days == changes.ttl_days.value());
  require(after.retention_expires_at == changes.retention_expires_at.value());
  require(after.tags == changes.tags.value());
  const auto twice = attr::rewrite(*once, "fuzz", changes, kAnySize);
  require(twice.has_value() && *twice == *once);
}

void check(std::string_view bytes) {
  static FileEntry entry;  // used again, as a reconcile does
  if (const auto result = attr::decode(bytes, "fuzz", entry); !result) {
    require(result.error().code == Errc::corrupt);
    require(result.error().message.starts_with("sidecar: 'fuzz': line "));
    return;
  }
  FileEntry fresh;
  require(attr::decode(bytes, "fuzz", fresh).has_value() && fresh == entry);
  const auto hash = content_hash(entry);
  if (const auto text = attr::encode(entry, kAnySize)) {
    FileEntry back;
    require(attr::decode(*text, "fuzz", back).has_value());
    require(back == entry);
    require(content_hash(back) == hash);
  } else {  // its fields are longer than those of a new sidecar may be, never anything else
    const std::string_view why = text.error().message;
    require(text.error().code == Errc::invalid_argument);
    require(why.find("is longer than") != why.npos || why.find("too many members") != why.npos);
  }
  check_rewrite(bytes, entry, set_everything());
  check_rewrite(bytes, entry, remove_everything());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  check({reinterpret_cast<const char*>(data), size});
  return 0;
}
