// SPDX-License-Identifier: Apache-2.0
// What may be edited of a file, for how long it is kept apart. No I/O.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/json_read.hpp"

namespace artcache::ingester {

/// Nothing: there is none, which is what an empty text counts as, too.
struct Editable {
  std::optional<std::string> description = {}, version = {};
  std::optional<std::string> metadata = {}, custom_attributes = {};  ///< JSON objects
  std::optional<std::vector<std::string>> tags = {};
  friend bool operator==(const Editable&, const Editable&) = default;
};

/// Out of what an element says of a file, or out of to_json(). Members of another type are none.
Editable read_editable(JsonObject& said);
/// The JSON of each that there is, by its name.
std::map<std::string, std::string> json_fields(const Editable& fields);
std::string to_json(const Editable& fields);

}  // namespace artcache::ingester
