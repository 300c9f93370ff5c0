// SPDX-License-Identifier: Apache-2.0
#include "roles/element_names.hpp"

#include <algorithm>

namespace artcache {

std::vector<std::string> element_words(std::string_view text) {
  std::vector<std::string> out;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    std::string word(text.substr(begin, end - begin));
    std::erase(word, ' ');
    if (!word.empty()) out.push_back(std::move(word));
    begin = end + 1;
  }
  return out;
}

std::string_view element_address(std::string_view word) {
  const std::size_t scheme = word.find("://");
  if (scheme == std::string_view::npos) return {};
  const std::size_t equals = word.find('=');
  return equals < scheme ? word.substr(equals + 1) : word;
}

Result<void> check_element_names(const config::Plan& plan, const config::Instance& one) {
  if (!one.role.has("elements")) return {};
  std::vector<std::string_view> here;
  for (const config::Instance& other : plan.instances)
    if (other.kind->name == "element") here.emplace_back(other.name);
  for (const std::string& word : element_words(one.role.text("elements"))) {
    const std::string_view address = element_address(word);
    if (address.starts_with("http://") || address.starts_with("https://")) continue;
    if (std::ranges::find(here, word) != here.end()) continue;
    const std::string meant = address.empty() ? config::nearest(word, here) : "";
    return Error{Errc::invalid_argument,
                 "elements: '" + word +
                     "' is neither an element of this process nor id=http://host:port" +
                     (meant.empty() ? "" : "; did you mean '" + meant + "'?")};
  }
  return {};
}

}  // namespace artcache
