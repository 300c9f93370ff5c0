// SPDX-License-Identifier: Apache-2.0
// Text that goes into an address.
#pragma once

#include <string>
#include <string_view>

namespace artcache {

/// Every byte that could mean something in an address as %XX, but for those in `kept`.
inline std::string percent_encoded(std::string_view text, std::string_view kept = {}) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    const auto byte = static_cast<unsigned char>(c);
    if (plain || kept.find(c) != std::string_view::npos)
      out.push_back(c);
    else
      out.append({'%', kDigits[byte >> 4], kDigits[byte & 15]});
  }
  return out;
}

}  // namespace artcache
