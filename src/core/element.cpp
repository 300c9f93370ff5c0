// SPDX-License-Identifier: Apache-2.0
#include <artcache/element.hpp>

#include <array>
#include <artcache/metadata_store.hpp>
#include <utility>

#include "core/locks/lock_record.hpp"
#include "util/try.hpp"
#include "util/utf8.hpp"

namespace artcache {
namespace {

constexpr std::string_view kElementNote = "element_name";
constexpr std::string_view kElementOfNobody = "default";
constexpr std::size_t kNameShown = 64;

constexpr std::array<std::pair<ElementMode, std::string_view>, 4> kModes{{
    {ElementMode::edit, "edit"},
    {ElementMode::rw, "rw"},
    {ElementMode::ro, "ro"},
    {ElementMode::ar, "ar"},
}};

}  // namespace

std::string_view to_string(ElementMode mode) {
  for (const auto& [known, name] : kModes)
    if (known == mode) return name;
  return "unknown";
}

std::optional<ElementMode> parse_element_mode(std::string_view name) {
  for (const auto& [mode, known] : kModes)
    if (known == name) return mode;
  return std::nullopt;
}

std::int32_t default_ttl_hours(ElementMode mode) { return may_write_files(mode) ? 24 : 168; }

/// Of two who are the first at once the later one's name stays; the other learns of it here, or
/// when it begins the next time.
Result<std::string> settle_element(MetadataStore& index, std::string_view named, const Call& call) {
  ARTCACHE_TRY(std::string kept, index.note(kElementNote, call));
  if (kept.empty() && !named.empty()) {
    ARTCACHE_CHECK(rename_element(index, named, call));
    ARTCACHE_TRY(kept, index.note(kElementNote, call));
  }
  if (kept.empty()) return std::string(kElementOfNobody);
  if (named.empty() || named == kept) return kept;
  const std::string other = util::printable(named, kNameShown);
  return Error{Errc::conflict, "this is the index of element '" + kept + "', not of '" + other +
                                   "': name that one, or none; where it is to be called '" + other +
                                   "', stop all who use it and run `artcache locks rename " +
                                   other + "`"};
}

Result<void> rename_element(MetadataStore& index, std::string_view name, const Call& call) {
  const auto wrong = [&](std::string_view cause) {
    return Error{Errc::invalid_argument,
                 "element '" + util::printable(name, kNameShown) + "': " + std::string(cause)};
  };
  if (!locks::is_name(name, locks::kElementMost))
    return wrong("1 to 64 letters, digits, dots, underscores and hyphens");
  if (locks::is_lock_beside(name))
    return wrong("names that begin with 'file.' or 'files.' are of the locks of files");
  return index.set_note(kElementNote, name, 0, call);
}

}  // namespace artcache
