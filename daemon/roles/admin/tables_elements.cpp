// SPDX-License-Identifier: Apache-2.0
// The registry of storage elements.
#include "roles/admin/tables.hpp"

namespace artcache::admin {
namespace {

constexpr std::string_view kElement =
    "SELECT id, element_id, name, mode, storage_type, status, priority, base_path, api_url, "
    "capacity_bytes, used_bytes, file_count, retention_days, last_health_check, client_id, "
    "created_at, updated_at FROM storage_elements ";

std::string text_of(std::string_view rest) { return std::string(kElement).append(rest); }

std::string where(const Session& session, std::string_view condition, Intent intent) {
  const std::string_view end = intent == Intent::change ? session.for_change() : "";
  return text_of("WHERE ").append(condition).append(end);
}

StorageElement read_element(Row row) {
  StorageElement out;
  out.id = row.number();
  out.element_id = row.maybe_text();
  out.name = row.text();
  out.mode = row.text();
  out.storage_type = row.text();
  out.status = row.text();
  out.priority = row.number();
  out.base_path = row.text();
  out.api_url = row.text();
  out.capacity_bytes = row.number();
  out.used_bytes = row.number();
  out.file_count = row.number();
  out.retention_days = row.maybe_number();
  out.last_health_check = row.maybe_time();
  out.client_id = row.maybe_text();
  out.created_at = row.time();
  out.updated_at = row.time();
  return out;
}

}  // namespace

Result<StorageElement> add_element(Session& session, const StorageElement& e) {
  ARTCACHE_TRY(
      const auto id,
      session.one(
          "INSERT INTO storage_elements(element_id, name, mode, storage_type, status, "
          "priority, base_path, api_url, capacity_bytes, used_bytes, file_count, "
          "retention_days, last_health_check, client_id, created_at, updated_at) VALUES($1, $2, "
          "$3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) RETURNING id",
          [](Row row) { return row.number(); }, e.element_id, e.name, e.mode, e.storage_type,
          e.status, e.priority, e.base_path, e.api_url, e.capacity_bytes, e.used_bytes,
          e.file_count, e.retention_days, e.last_health_check, e.client_id, e.created_at,
          e.updated_at));
  StorageElement out = e;
  out.id = id.value_or(0);
  return out;
}

Result<std::optional<StorageElement>> find_element(Session& session, std::int64_t id,
                                                   Intent intent) {
  return session.one(where(session, "id = $1", intent), read_element, id);
}

Result<std::optional<StorageElement>> find_element_id(Session& session, std::string_view element,
                                                      Intent intent) {
  return session.one(where(session, "element_id = $1", intent), read_element, element);
}

Result<std::optional<StorageElement>> find_element_url(Session& session, std::string_view url,
                                                       Intent intent) {
  return session.one(where(session, "api_url = $1", intent), read_element, url);
}

Result<std::vector<StorageElement>> list_elements(Session& session) {
  return session.all(text_of("ORDER BY priority, id"), read_element);
}

Result<std::int64_t> store_element(Session& session, const StorageElement& e) {
  return session.run(
      "UPDATE storage_elements SET element_id = $1, name = $2, mode = $3, storage_type = $4, "
      "status = $5, priority = $6, base_path = $7, api_url = $8, capacity_bytes = $9, "
      "used_bytes = $10, file_count = $11, retention_days = $12, last_health_check = $13, "
      "client_id = $14, updated_at = $15 WHERE id = $16",
      e.element_id, e.name, e.mode, e.storage_type, e.status, e.priority, e.base_path, e.api_url,
      e.capacity_bytes, e.used_bytes, e.file_count, e.retention_days, e.last_health_check,
      e.client_id, e.updated_at, e.id);
}

Result<std::int64_t> remove_element(Session& session, std::int64_t id) {
  return session.run("DELETE FROM storage_elements WHERE id = $1", id);
}

}  // namespace artcache::admin
