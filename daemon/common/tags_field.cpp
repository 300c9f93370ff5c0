// SPDX-License-Identifier: Apache-2.0
#include "common/tags_field.hpp"

#include <algorithm>
#include <artcache/json_writer.hpp>

#include "common/json_object.hpp"
#include "util/json_scan.hpp"

namespace artcache {

std::optional<std::vector<std::string>> tags_of_list(std::string_view json) {
  util::JsonScanner scanner(json);
  if (!scanner.check_start() || !scanner.enter_array()) return std::nullopt;
  std::vector<std::string> out;
  util::JsonValue tag;
  while (scanner.next_element(tag)) {
    if (tag.kind != util::JsonKind::string) return std::nullopt;
    if (!tag.spelled().empty()) out.push_back(decoded(tag));
  }
  if (scanner.failed() || !scanner.at_end()) return std::nullopt;
  return out;
}

std::vector<std::string> tags_of_words(std::string_view words) {
  std::vector<std::string> out;
  while (!words.empty()) {
    std::string_view tag = words.substr(0, words.find(','));
    words.remove_prefix(std::min(words.size(), tag.size() + 1));
    while (tag.starts_with(' ')) tag.remove_prefix(1);
    while (tag.ends_with(' ')) tag.remove_suffix(1);
    if (!tag.empty()) out.emplace_back(tag);
  }
  return out;
}

std::string list_of_tags(const std::vector<std::string>& tags) {
  JsonWriter json;
  json.begin_array();
  for (const std::string& tag : tags) json.value(tag);
  json.end_array();
  return std::move(json).str();
}

}  // namespace artcache
