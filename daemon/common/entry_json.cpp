// SPDX-License-Identifier: Apache-2.0
#include "common/entry_json.hpp"

namespace artcache {
namespace {

void maybe(JsonWriter& json, std::string_view name, const std::optional<std::string>& text) {
  json.key(name);
  if (text)
    json.value(*text);
  else
    json.null();
}

}  // namespace

void append_entry(JsonWriter& json, const IndexedEntry& row, Timestamp now) {
  const FileEntry& e = row.entry;
  json.member("file_id", to_string(e.id))
      .member("original_filename", e.original_filename)
      .member("storage_filename", e.storage_filename)
      .member("storage_path", e.storage_path)
      .member("file_size", e.file_size)
      .member("content_type", e.content_type)
      .member("created_at", to_string(e.created_at))
      .member("updated_at", to_string(e.updated_at))
      .member("created_by_id", e.created_by_id)
      .member("created_by_username", e.created_by_username);
  maybe(json, "created_by_fullname", e.created_by_fullname);
  maybe(json, "description", e.description);
  maybe(json, "version", e.version);
  json.member("checksum", to_string(e.checksum));
  json.key("tags").begin_array();
  for (const std::string& tag : e.tags) json.value(tag);
  json.end_array();
  maybe(json, "retention_policy", e.retention_policy);
  json.key("ttl_days");
  if (e.ttl_days)
    json.value(*e.ttl_days);
  else
    json.null();
  maybe(json, "retention_expires_at",
        e.retention_expires_at ? std::optional(to_string(*e.retention_expires_at)) : std::nullopt);
  json.key("metadata").raw(e.metadata);
  if (!e.custom_attributes.empty()) json.key("custom_attributes").raw(e.custom_attributes);
  json.member("cache_updated_at", to_string(row.freshness.refreshed_at))
      .member("cache_ttl_hours", row.freshness.ttl_hours)
      .member("cache_expired", row.freshness.expired(now));
}

}  // namespace artcache
