// SPDX-License-Identifier: Apache-2.0
#include <artcache/result.hpp>

namespace artcache {

const std::vector<ErrcInfo>& errc_table() {
  // The only place where a code meets its texts and numbers. docs/errors.md is compared with it.
  static const std::vector<ErrcInfo> table{
      {Errc::invalid_argument, "invalid_argument", 400, 64, "The call is wrong; mend it."},
      {Errc::not_found, "not_found", 404, 4, "The thing named does not exist."},
      {Errc::conflict, "conflict", 409, 1, "It exists already or has changed; read it again."},
      {Errc::busy, "busy", 503, 3, "Somebody else holds it; retry later."},
      {Errc::lease_lost, "lease_lost", 503, 3, "The lock was lost; nothing more was written."},
      {Errc::gone, "gone", 410, 1, "That position has left the log; start from a snapshot."},
      {Errc::corrupt, "corrupt", 500, 1, "Damaged data, which is not served."},
      {Errc::no_space, "no_space", 507, 1, "A disk, quota or capacity is full."},
      {Errc::unavailable, "unavailable", 503, 1, "A server or device does not answer; retry."},
      {Errc::timed_out, "timed_out", 504, 1, "The deadline passed."},
      {Errc::cancelled, "cancelled", 503, 1, "Somebody asked to stop."},
      {Errc::unsupported, "unsupported", 501, 1, "This backend or build cannot do it."},
      {Errc::internal, "internal", 500, 1, "A defect of artcache; please report it."},
  };
  return table;
}

namespace {
const ErrcInfo& info(Errc code) {
  for (const ErrcInfo& row : errc_table())
    if (row.code == code) return row;
  return errc_table().back();
}
}  // namespace

std::string_view to_string(Errc code) { return info(code).name; }
int http_status(Errc code) { return info(code).http_status; }
int exit_code(Errc code) { return info(code).exit_code; }

std::optional<Errc> parse_errc(std::string_view name) {
  for (const ErrcInfo& row : errc_table())
    if (row.name == name) return row.code;
  return std::nullopt;
}

Error Error::in(std::string_view operation) && {
  message.insert(0, ": ").insert(0, operation);
  return std::move(*this);
}

Error Error::in(std::string_view operation) const& { return Error(*this).in(operation); }

std::string to_string(const Error& error) {
  std::string text(to_string(error.code));
  text.append(": ").append(error.message);
  if (error.outcome == Outcome::unknown) text.append(" (it may have been applied)");
  return text;
}

Exception::Exception(Error error) : error_(std::move(error)), text_(to_string(error_)) {}

}  // namespace artcache
