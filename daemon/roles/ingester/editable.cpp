// SPDX-License-Identifier: Apache-2.0
#include "roles/ingester/editable.hpp"

#include <artcache/json_writer.hpp>
#include <utility>

namespace artcache::ingester {

Editable read_editable(JsonObject& said) {
  const auto text = [&](const char* name) {
    auto found = said.text(name);
    if (found && found->empty()) found.reset();
    return found;
  };
  return {.description = text("description"),
          .version = text("version"),
          .metadata = said.object("metadata"),
          .custom_attributes = said.object("custom_attributes"),
          .tags = said.texts("tags")};
}

std::map<std::string, std::string> json_fields(const Editable& fields) {
  std::map<std::string, std::string> out;
  const auto text = [&](const char* name, const std::optional<std::string>& value) {
    if (value) append_json_string(out[name], *value);
  };
  text("description", fields.description);
  text("version", fields.version);
  if (fields.metadata) out["metadata"] = *fields.metadata;
  if (fields.custom_attributes) out["custom_attributes"] = *fields.custom_attributes;
  if (fields.tags) {
    JsonWriter list;
    list.begin_array();
    for (const std::string& tag : *fields.tags) list.value(tag);
    out["tags"] = std::move(list.end_array()).str();
  }
  return out;
}

std::string to_json(const Editable& fields) {
  JsonWriter json;
  json.begin_object();
  for (const auto& [name, value] : json_fields(fields)) json.key(name).raw(value);
  return std::move(json.end_object()).str();
}

}  // namespace artcache::ingester
