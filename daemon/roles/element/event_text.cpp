// SPDX-License-Identifier: Apache-2.0
// Events as texts: what the original and its readers expect, and where in the log it was.
#include <artcache/json_writer.hpp>
#include <optional>

#include "roles/element/redis_events.hpp"

namespace artcache::element {
namespace {

std::string zulu(Timestamp time) { return to_string(time, TimestampStyle::zulu); }

std::string epoch_of(const Event& event) {
  const std::string text = to_string(event.position);
  return text.substr(0, text.find('/'));
}

template <class T>
void maybe(JsonWriter& json, std::string_view name, const std::optional<T>& value) {
  json.key(name);
  if (value)
    json.value(*value);
  else
    json.null();
}

std::optional<std::string> zulu(const std::optional<Timestamp>& time) {
  return time ? std::optional(zulu(*time)) : std::nullopt;
}

void append_tags(JsonWriter& json, const FileEntry& e) {
  json.key("tags").begin_array();
  for (const std::string& tag : e.tags) json.value(tag);
  json.end_array();
}

/// As seed 003 shows it.
void append_metadata(JsonWriter& json, const FileEntry& e) {
  json.begin_object()
      .member("original_filename", e.original_filename)
      .member("storage_filename", e.storage_filename)
      .member("file_size", e.file_size)
      .member("mime_type", e.content_type)
      .member("created_at", zulu(e.created_at))
      .member("updated_at", zulu(e.updated_at))
      .member("created_by_id", e.created_by_id)
      .member("created_by_username", e.created_by_username);
  maybe(json, "created_by_fullname", e.created_by_fullname);
  maybe(json, "description", e.description);
  maybe(json, "version", e.version);
  append_tags(json, e);
  json.member("storage_path", e.storage_path).member("checksum", "sha256:" + to_string(e.checksum));
  maybe(json, "retention_policy", e.retention_policy);
  maybe(json, "ttl_days", e.ttl_days);
  maybe(json, "retention_expires_at", zulu(e.retention_expires_at));
  json.key("metadata").raw(e.metadata);
  json.end_object();
}

/// As the original writes it into its stream.
std::string stream_metadata(const FileEntry& e, std::string_view element) {
  JsonWriter json;
  json.begin_object()
      .member("file_id", to_string(e.id))
      .member("original_filename", e.original_filename)
      .member("storage_filename", e.storage_filename)
      .member("file_size", e.file_size)
      .member("checksum_sha256", to_string(e.checksum))
      .member("content_type", e.content_type);
  maybe(json, "description", e.description);
  json.member("storage_element_id", element)
      .member("storage_path", e.storage_path)
      .member("compressed", false);
  json.key("compression_algorithm").null();
  json.member("original_size", e.file_size).member("uploaded_by", e.created_by_id);
  json.key("upload_source_ip").null();
  json.member("created_at", zulu(e.created_at)).member("updated_at", zulu(e.updated_at));
  maybe(json, "retention_policy", e.retention_policy);
  maybe(json, "ttl_expires_at", zulu(e.retention_expires_at));
  maybe(json, "ttl_days", e.ttl_days);
  json.key("user_metadata").raw(e.metadata);
  append_tags(json, e);
  json.end_object();
  return std::move(json).str();
}

}  // namespace

std::string event_message(const Event& event, std::string_view element) {
  JsonWriter json;
  json.begin_object()
      .member("event_type", to_string(event.kind))
      .member("timestamp", zulu(event.at));
  if (event.kind != EventKind::reset) json.member("file_id", event.key);
  json.member("storage_element_id", element)
      .member("epoch", epoch_of(event))
      .member("seq", event.position.seq);
  if (event.kind == EventKind::deleted) json.member("deleted_at", zulu(event.at));
  if (event.kind == EventKind::reset) json.member("reason", event.reason);
  if (event.entry) {
    json.key("metadata");
    append_metadata(json, *event.entry);
  }
  json.end_object();
  return std::move(json).str();
}

std::vector<std::pair<std::string, std::string>> event_fields(const Event& event,
                                                              std::string_view element) {
  std::vector<std::pair<std::string, std::string>> fields{
      {"event_type", std::string(to_string(event.kind))}, {"timestamp", zulu(event.at)}};
  if (event.kind != EventKind::reset) fields.emplace_back("file_id", event.key);
  fields.emplace_back("storage_element_id", element);
  fields.emplace_back("epoch", epoch_of(event));
  fields.emplace_back("seq", std::to_string(event.position.seq));
  if (event.kind == EventKind::deleted) fields.emplace_back("deleted_at", zulu(event.at));
  if (event.kind == EventKind::reset) fields.emplace_back("reason", event.reason);
  if (event.entry) fields.emplace_back("metadata", stream_metadata(*event.entry, element));
  return fields;
}

}  // namespace artcache::element
