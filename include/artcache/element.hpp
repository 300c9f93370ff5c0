// SPDX-License-Identifier: Apache-2.0
// What a storage element is: its name and its mode, which say what may be done to its files.
#pragma once

#include <artcache/export.hpp>
#include <artcache/result.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace artcache {

struct Call;
class MetadataStore;

/// What an element allows, from most to least.
enum class ElementMode : std::uint8_t {
  edit,  ///< everything
  rw,    ///< uploads and updates, no removals
  ro,    ///< reading only
  ar,    ///< archive: metadata only, the data is restored on demand elsewhere
};
/// The wire name: "edit", "rw", "ro", "ar".
ARTCACHE_EXPORT std::string_view to_string(ElementMode mode);
/// The mode with this wire name, or nothing.
ARTCACHE_EXPORT std::optional<ElementMode> parse_element_mode(std::string_view name);

/// How long what the index says of a file counts as fresh: 24 hours in edit and rw, 168 in ro
/// and ar.
ARTCACHE_EXPORT std::int32_t default_ttl_hours(ElementMode mode);

[[nodiscard]] constexpr bool may_write_files(ElementMode mode) {
  return mode == ElementMode::edit || mode == ElementMode::rw;
}

/// The name of the element whose index this is: all who work on it must use one, or their locks do
/// not meet. `named`, which the index keeps from then on; where that is empty what it keeps, and
/// "default" while it keeps none.
/// Of two who name it for the first time at once, under two names, one may learn of the other only
/// the next time.
/// Errors: conflict (it keeps another one), and those of MetadataStore::note() and
/// rename_element().
ARTCACHE_EXPORT Result<std::string> settle_element(MetadataStore& index, std::string_view named,
                                                   const Call& call);
/// Makes the index keep another one. Nobody may work on it meanwhile.
/// Errors: invalid_argument (not 1 to 64 of letters, digits, '.', '_' and '-', or begins with
/// "file." or "files.", which are locks of files), and those of MetadataStore::set_note().
ARTCACHE_EXPORT Result<void> rename_element(MetadataStore& index, std::string_view name,
                                            const Call& call);

}  // namespace artcache
