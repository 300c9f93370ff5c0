// SPDX-License-Identifier: Apache-2.0
#include <artcache/element.hpp>

#include <array>
#include <utility>

namespace artcache {
namespace {

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

}  // namespace artcache
