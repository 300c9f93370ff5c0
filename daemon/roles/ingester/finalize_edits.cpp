// SPDX-License-Identifier: Apache-2.0
#include "roles/ingester/finalize_edits.hpp"

#include <array>
#include <artcache/json_writer.hpp>
#include <string_view>
#include <utility>

namespace artcache::ingester {
namespace {

/// What an element takes for "there is none of it"; it keeps an object or a list for good.
struct Field {
  std::string_view name, none;
};
constexpr std::array<Field, 5> kFields{{{"description", "null"},
                                        {"version", "null"},
                                        {"metadata", "{}"},
                                        {"custom_attributes", "{}"},
                                        {"tags", "[]"}}};

using Fields = std::map<std::string, std::string>;

std::string value_of(const Fields& fields, const Field& field) {
  const auto found = fields.find(std::string(field.name));
  return std::string(found == fields.end() ? field.none : found->second);
}

bool is_set_by(const Finalize& job, const Field& field) {
  return (field.name == "description" && job.description) ||
         (field.name == "metadata" && job.metadata);
}

/// `is_told(field, wanted, found, out)` decides of what differs whether the copy is told.
CopyEdits compare(const Finalize& job, const Editable& source, const Editable& copy,
                  const auto& is_told) {
  const Fields said = json_fields(source), there = json_fields(copy);
  CopyEdits out;
  JsonWriter json;
  json.begin_object();
  bool any = false;
  for (const Field& field : kFields) {
    const std::string wanted = value_of(said, field), found = value_of(there, field);
    if (is_set_by(job, field) || wanted == found) continue;
    if (is_told(field, wanted, found, out)) {
      json.key(field.name).raw(wanted);
      any = true;
    }
  }
  json.end_object();
  if (any) out.patch = std::move(json).str();
  return out;
}

}  // namespace

CopyEdits edits_when_made(const Finalize& job, const Editable& source, const Editable& copy) {
  return compare(job, source, copy, [](const auto&...) { return true; });
}

CopyEdits edits_since_base(const Finalize& job, const Editable& source, const Editable& copy) {
  const std::optional<Fields> base =
      job.base ? std::optional(json_fields(*job.base)) : std::nullopt;
  return compare(
      job, source, copy,
      [&](const Field& field, const std::string& wanted, const std::string& found, CopyEdits& out) {
        const auto before = base ? std::optional(value_of(*base, field)) : std::nullopt;
        if (before == wanted) return false;  // only the copy was edited
        if (before == found) return true;
        out.conflicts.push_back({std::string(field.name), wanted, found});
        return false;
      });
}

}  // namespace artcache::ingester
