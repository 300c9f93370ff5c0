// SPDX-License-Identifier: Apache-2.0
#include <artcache/file_entry.hpp>

#include "util/hash.hpp"

namespace artcache {

Result<Sha256Sum> Sha256Sum::parse(std::string_view text) {
  Sha256Sum sum;
  if (!util::parse_hex(text, sum.bytes))
    return Error{Errc::invalid_argument, "checksum: '" + std::string(text.substr(0, 80)) +
                                             "' is not 64 hexadecimal digits"};
  return sum;
}

std::string to_string(const Sha256Sum& sum) {
  std::string text;
  text.reserve(64);
  util::append_hex(text, sum.bytes);
  return text;
}

}  // namespace artcache
