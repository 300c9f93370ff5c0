// SPDX-License-Identifier: Apache-2.0
#include "roles/ingester/finalize_edits.hpp"

#include <artcache/json_writer.hpp>
#include <artcache/timestamp.hpp>
#include <utility>

#include "common/json_read.hpp"

namespace artcache::ingester {

std::optional<std::string> edits_for_copy(const Finalize& job, const std::string& source,
                                          const std::string& copy) {
  JsonObject said(source), there(copy);
  JsonWriter json;
  json.begin_object();
  bool any = false;
  const auto text = [&](const char* name) {
    const auto wanted = said.text(name);
    if (!wanted || wanted == there.text(name)) return;
    json.member(name, *wanted);
    any = true;
  };
  const auto object = [&](const char* name) {
    const auto wanted = said.object(name);
    if (!wanted || wanted == there.object(name)) return;
    json.key(name).raw(*wanted);
    any = true;
  };
  if (!job.description) text("description");
  text("version");
  if (!job.metadata) object("metadata");
  object("custom_attributes");
  if (const auto tags = said.texts("tags"); tags && tags != there.texts("tags")) {
    json.key("tags").begin_array();
    for (const std::string& tag : *tags) json.value(tag);
    json.end_array();
    any = true;
  }
  json.end_object();
  return any ? std::optional(std::move(json).str()) : std::nullopt;
}

bool edited_since(const std::string& source, const std::string& copy) {
  const auto changed = [](const std::string& json) {
    return JsonObject(json).text("updated_at").value_or("");
  };
  const auto left = Timestamp::parse(changed(source)), right = Timestamp::parse(changed(copy));
  return left && right && *left > *right;
}

}  // namespace artcache::ingester
