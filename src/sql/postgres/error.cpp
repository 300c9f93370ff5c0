// SPDX-License-Identifier: Apache-2.0
#include "sql/postgres/error.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

namespace artcache::sql {
namespace {

constexpr std::size_t kTextMost = 400;

struct Row {
  std::string_view state;  // or the beginning of one; the first that fits counts
  Errc code;
};
constexpr std::array kStates{
    Row{"08", Errc::unavailable},
    Row{"0A", Errc::unsupported},
    Row{"22", Errc::invalid_argument},
    Row{"23505", Errc::conflict},
    Row{"25006", Errc::unavailable},  // a standby, or default_transaction_read_only
    Row{"26", Errc::unavailable},     // a pooler in between gave us another session
    Row{"28", Errc::invalid_argument},
    Row{"3D000", Errc::not_found},
    Row{"40", Errc::busy},
    Row{"42501", Errc::invalid_argument},  // a right is missing
    Row{"53100", Errc::no_space},
    Row{"53", Errc::unavailable},
    Row{"54", Errc::invalid_argument},
    Row{"55P03", Errc::busy},
    Row{"57014", Errc::timed_out},  // statement_timeout
    Row{"57", Errc::unavailable},
    Row{"58", Errc::unavailable},
    Row{"XX001", Errc::corrupt},
    Row{"XX002", Errc::corrupt},
};

std::string first_line(std::string_view text) {
  text = text.substr(0, text.find('\n'));
  return std::string(text.substr(0, kTextMost));
}

bool is_state(std::string_view text) {
  return text.size() == 5 && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
         });
}

}  // namespace

Errc errc_of_state(std::string_view state) {
  const auto* const at =
      std::ranges::find_if(kStates, [&](const Row& row) { return state.starts_with(row.state); });
  return at != kStates.end() ? at->code : Errc::internal;
}

Error postgres_error(std::string_view doing, std::string_view state, std::string_view text) {
  return {errc_of_state(state), "postgresql: " + std::string(doing) + ": " + first_line(text) +
                                    " (" + std::string(state) + ")"};
}

Error connect_error(std::string_view address, std::string_view message) {
  // Of several hosts the last one that answered says best what is wrong.
  Error error{Errc::unavailable, {}};
  std::string text = first_line(message);
  for (std::string_view rest = message; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    const std::size_t mark = line.find(":  ");
    if (mark == std::string_view::npos || line.size() < mark + 10) continue;
    const std::string_view state = line.substr(mark + 3, 5);
    if (!is_state(state) || line.substr(mark + 8, 2) != ": ") continue;
    error.code = errc_of_state(state);
    if (error.code == Errc::internal) error.code = Errc::unavailable;
    text = first_line(line.substr(mark + 10)) + " (" + std::string(state) + ")";
  }
  error.message = "postgresql: connect to " + std::string(address) + ": " + text;
  return error;
}

}  // namespace artcache::sql
