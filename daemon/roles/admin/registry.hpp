// SPDX-License-Identifier: Apache-2.0
// What is known of storage elements, and how the admin comes to know it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "roles/admin/parts.hpp"

namespace artcache::admin {

/// What an element says of itself at /api/v1/info.
/// Errors: corrupt (no JSON object, or one of the twelve members is missing or of a wrong type).
Result<StorageElement> parse_info(std::string_view json, std::string_view api_url);

/// `known` with what the element says now; its id and what people set stay.
void take_over(StorageElement& known, const StorageElement& said, Timestamp now);

/// Asks the element. Errors: those of Parts::fetch and of parse_info().
Result<StorageElement> ask(const Parts& parts, const std::string& api_url, const Call& call);

struct Registered {
  std::optional<StorageElement> element = {};
  /// What is another thing from now on, for the audit trail; empty: the element is as it was.
  std::string news = {};
};

/// Registers an element, or takes over what one that is known says: a heartbeat. It is the one with
/// that element_id, or where that is not known, the one with that address. A new one is bound to
/// the account of the caller. No element where the caller may not speak for it: another account is
/// bound to it, or none is and an operator says that it has moved. Errors: conflict (name or
/// address are another one's), and those of the database.
Result<Registered> register_element(Parts& parts, StorageElement said, const http::Identity& caller,
                                    const Call& call);

/// Asks one element and stores what it says, or that it does not answer.
/// Errors: not_found, and those of the database. An element that is away is no error.
Result<StorageElement> sync_element(Parts& parts, std::int64_t id, const Call& call);
/// The same for all that nobody has heard of for half of the time after which they are offline.
Result<void> sync_stale_elements(Parts& parts, const Call& call);

/// Follows the files of all elements there are, where anybody follows. Errors: those of the
/// database.
Result<void> follow_elements(Parts& parts, const Call& call);

/// `online` only while it was heard of lately.
std::string status_now(const Parts& parts, const StorageElement& element);
/// ok, warning, critical or full, by the share that is used.
std::string_view capacity_status(const StorageElement& element);
/// Of the list for machines, and of the one for people.
void append_internal(JsonWriter& json, const Parts& parts, const StorageElement& element);
void append_public(JsonWriter& json, const Parts& parts, const StorageElement& element);

/// An http or https address without a slash at its end. Errors: invalid_argument.
Result<std::string> tidy_url(std::string_view text);

}  // namespace artcache::admin
