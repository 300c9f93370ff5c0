// SPDX-License-Identifier: Apache-2.0
// From the bytes of a sidecar to an entry.
#include <artcache/storage_backend.hpp>
#include <charconv>

#include "core/attr/members.hpp"
#include "core/attr/sidecar.hpp"
#include "util/hash.hpp"
#include "util/try.hpp"

namespace artcache::attr {
namespace {

using util::JsonKind;
using util::JsonValue;

/// What a string means, in `buffer` only when it is spelled with escapes.
std::string_view plain(const JsonValue& value, std::string& buffer) {
  if (!value.escaped) return value.spelled();
  util::append_decoded(buffer, value);
  return buffer;
}

/// Reads the fields of one document; every reader names the member that is wrong.
class Decoder {
 public:
  explicit Decoder(const Document& document) : document_(document) {}

  Result<void> run(FileEntry& entry);

 private:
  [[nodiscard]] Error bad(Field field, std::string_view what) const {
    const Member* member = document_.slot(field);
    return document_.error(
        member->value.text.data(),
        std::string("member '").append(member->name.spelled()).append("': ").append(what));
  }
  [[nodiscard]] Error missing(Field field) const {
    return document_.error(document_.bytes().data(),
                           std::string("member '").append(name_of(field)).append("' is missing"));
  }

  Result<const JsonValue*> required(Field field) const {
    const JsonValue* value = document_.find(field);
    if (value == nullptr) return missing(field);
    return value;
  }

  Result<void> text(Field field, const JsonValue& value, std::string& out) const;
  Result<void> text_or(Field field, std::string_view fallback, std::string& out) const;
  Result<void> optional_text(Field field, std::optional<std::string>& out) const;
  Result<Timestamp> time(Field field, const JsonValue& value) const;
  Result<std::int64_t> integer(Field field, const JsonValue& value, std::int64_t most) const;
  Result<void> object(Field field, std::string_view fallback, std::string& out) const;

  Result<void> identity(FileEntry& entry) const;
  Result<void> place(FileEntry& entry) const;
  Result<void> moments(FileEntry& entry) const;
  Result<void> people_and_texts(FileEntry& entry) const;
  Result<void> version(FileEntry& entry) const;
  Result<void> checksum(FileEntry& entry) const;
  Result<void> tags(FileEntry& entry) const;
  Result<void> retention(FileEntry& entry) const;
  Result<void> schema() const;
  void unknown(FileEntry& entry) const;

  const Document& document_;
};

Result<void> Decoder::text(Field field, const JsonValue& value, std::string& out) const {
  if (value.kind != JsonKind::string) return bad(field, "not a text");
  if (!value.escaped) {
    out.assign(value.spelled());
    return {};
  }
  out.clear();
  util::append_decoded(out, value);
  // Only an escape can bring one in: the scanner refuses control characters as they are.
  if (out.find('\0') != std::string::npos) return bad(field, "holds a NUL");
  return {};
}

Result<void> Decoder::text_or(Field field, std::string_view fallback, std::string& out) const {
  if (const JsonValue* value = document_.find(field)) return text(field, *value, out);
  out.assign(fallback);
  return {};
}

Result<void> Decoder::optional_text(Field field, std::optional<std::string>& out) const {
  const JsonValue* value = document_.find(field);
  if (value == nullptr) {
    out.reset();
    return {};
  }
  return text(field, *value, out ? *out : out.emplace());
}

Result<Timestamp> Decoder::time(Field field, const JsonValue& value) const {
  if (value.kind != JsonKind::string) return bad(field, "not a date and time");
  std::string buffer;
  auto parsed = Timestamp::parse(plain(value, buffer));
  if (!parsed) return bad(field, parsed.error().message);
  return parsed;
}

Result<std::int64_t> Decoder::integer(Field field, const JsonValue& value,
                                      std::int64_t most) const {
  std::int64_t number = 0;
  const char* const last = value.text.data() + value.text.size();
  const auto [end, code] = std::from_chars(value.text.data(), last, number);
  if (value.kind != JsonKind::number || (code == std::errc() && end != last))
    return bad(field, "not a whole number");
  if (value.text.front() == '-' && (code != std::errc() || number != 0))
    return bad(field, "negative");
  if (code != std::errc() || number > most) return bad(field, "too large");
  return number;
}

Result<void> Decoder::object(Field field, std::string_view fallback, std::string& out) const {
  out.clear();
  const JsonValue* value = document_.find(field);
  if (value == nullptr) {
    out.append(fallback);
    return {};
  }
  if (value->kind != JsonKind::object) return bad(field, "not an object");
  util::append_minified(out, value->text);
  return {};
}

Result<void> Decoder::identity(FileEntry& entry) const {
  ARTCACHE_TRY(const JsonValue* id, required(Field::file_id));
  if (id->kind != JsonKind::string) return bad(Field::file_id, "not a UUID");
  std::string buffer;
  auto parsed = FileId::parse(plain(*id, buffer));
  if (!parsed) return bad(Field::file_id, "not a UUID");
  entry.id = *parsed;
  ARTCACHE_TRY(const JsonValue* name, required(Field::original_filename));
  ARTCACHE_CHECK(text(Field::original_filename, *name, entry.original_filename));
  ARTCACHE_TRY(const JsonValue* size, required(Field::file_size));
  ARTCACHE_TRY(const std::int64_t bytes,
               integer(Field::file_size, *size, std::numeric_limits<std::int64_t>::max()));
  entry.file_size = static_cast<std::uint64_t>(bytes);
  return {};
}

/// Folder and name of the data file. Some dialects put both into storage_path, some leave the
/// slash at its end out.
Result<void> Decoder::place(FileEntry& entry) const {
  std::string& folder = entry.storage_path;
  std::string& name = entry.storage_filename;
  ARTCACHE_CHECK(text_or(Field::storage_path, "", folder));
  if (folder.starts_with('/')) return bad(Field::storage_path, "is absolute");
  const JsonValue* given = document_.find(Field::storage_filename);
  if (given != nullptr) {
    ARTCACHE_CHECK(text(Field::storage_filename, *given, name));
    if (folder == name)
      folder.clear();
    else if (folder.ends_with(name) && folder[folder.size() - name.size() - 1] == '/')
      folder.resize(folder.size() - name.size());
  } else {
    if (folder.empty() || folder.ends_with('/')) return missing(Field::storage_filename);
    const std::size_t begin = folder.rfind('/') + 1;  // npos + 1 is 0
    name = folder.substr(begin);
    folder.resize(begin);
  }
  const Field named = given != nullptr ? Field::storage_filename : Field::storage_path;
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos)
    return bad(named, "not the name of a file");
  while (folder.ends_with('/')) folder.pop_back();
  if (!folder.empty()) {
    if (const auto good = check_storage_path(folder); !good)
      return bad(Field::storage_path, good.error().message);
    folder.push_back('/');
  }
  return {};
}

Result<void> Decoder::moments(FileEntry& entry) const {
  ARTCACHE_TRY(const JsonValue* created, required(Field::created_at));
  ARTCACHE_TRY(entry.created_at, time(Field::created_at, *created));
  entry.updated_at = entry.created_at;
  if (const JsonValue* updated = document_.find(Field::updated_at)) {
    ARTCACHE_TRY(entry.updated_at, time(Field::updated_at, *updated));
  }
  return {};
}

Result<void> Decoder::people_and_texts(FileEntry& entry) const {
  ARTCACHE_CHECK(text_or(Field::content_type, "application/octet-stream", entry.content_type));
  ARTCACHE_CHECK(text_or(Field::created_by_id, "unknown", entry.created_by_id));
  ARTCACHE_CHECK(text_or(Field::created_by_username, "unknown", entry.created_by_username));
  ARTCACHE_CHECK(optional_text(Field::created_by_fullname, entry.created_by_fullname));
  return optional_text(Field::description, entry.description);
}

/// Free text in one dialect, a whole number in another.
Result<void> Decoder::version(FileEntry& entry) const {
  const JsonValue* value = document_.find(Field::version);
  if (value == nullptr || value->kind != JsonKind::number)
    return optional_text(Field::version, entry.version);
  ARTCACHE_TRY(const std::int64_t number,
               integer(Field::version, *value, std::numeric_limits<std::int64_t>::max()));
  entry.version = std::to_string(number);
  return {};
}

Result<void> Decoder::checksum(FileEntry& entry) const {
  ARTCACHE_TRY(const JsonValue* value, required(Field::checksum));
  if (value->kind != JsonKind::string) return bad(Field::checksum, "not a text");
  std::string buffer;
  std::string_view digits = plain(*value, buffer);
  if (digits.starts_with("sha256:")) digits.remove_prefix(7);
  if (!util::parse_hex(digits, entry.checksum.bytes))
    return bad(Field::checksum, "not 64 hexadecimal digits");
  return {};
}

Result<void> Decoder::tags(FileEntry& entry) const {
  entry.tags.clear();
  const JsonValue* value = document_.find(Field::tags);
  if (value == nullptr) return {};
  util::JsonScanner scanner(value->text);
  if (!scanner.enter_array()) return bad(Field::tags, "not an array of texts");
  JsonValue element;
  while (scanner.next_element(element)) {
    if (entry.tags.size() == kTagsMost) return bad(Field::tags, "more than 1000 tags");
    ARTCACHE_CHECK(text(Field::tags, element, entry.tags.emplace_back()));
  }
  return {};
}

Result<void> Decoder::retention(FileEntry& entry) const {
  ARTCACHE_CHECK(optional_text(Field::retention_policy, entry.retention_policy));
  entry.ttl_days.reset();
  if (const JsonValue* days = document_.find(Field::ttl_days)) {
    ARTCACHE_TRY(entry.ttl_days, integer(Field::ttl_days, *days, kDaysMost));
  }
  entry.retention_expires_at.reset();
  if (const JsonValue* end = document_.find(Field::retention_expires_at)) {
    ARTCACHE_TRY(entry.retention_expires_at, time(Field::retention_expires_at, *end));
  }
  return {};
}

Result<void> Decoder::schema() const {
  const JsonValue* value = document_.find(Field::schema_version);
  if (value == nullptr) return {};
  std::string buffer;
  if (value->kind == JsonKind::string)
    if (const auto number = plain(*value, buffer); number == "1.0" || number == "2.0") return {};
  return bad(Field::schema_version, "this version of the format is not known here");
}

void Decoder::unknown(FileEntry& entry) const {
  entry.unknown_members.clear();
  for (const Member& member : document_.members()) {
    if (member.used) continue;
    if (!entry.unknown_members.empty()) entry.unknown_members.push_back(',');
    entry.unknown_members.append(member.name.text).push_back(':');
    util::append_minified(entry.unknown_members, member.value.text);
  }
}

Result<void> Decoder::run(FileEntry& entry) {
  ARTCACHE_CHECK(schema());
  ARTCACHE_CHECK(identity(entry));
  ARTCACHE_CHECK(place(entry));
  ARTCACHE_CHECK(moments(entry));
  ARTCACHE_CHECK(people_and_texts(entry));
  ARTCACHE_CHECK(version(entry));
  ARTCACHE_CHECK(checksum(entry));
  ARTCACHE_CHECK(tags(entry));
  ARTCACHE_CHECK(retention(entry));
  ARTCACHE_CHECK(object(Field::metadata, "{}", entry.metadata));
  ARTCACHE_CHECK(object(Field::custom_attributes, "", entry.custom_attributes));
  if (entry.custom_attributes == "{}") entry.custom_attributes.clear();
  unknown(entry);
  return {};
}

}  // namespace

Result<void> decode(std::string_view bytes, std::string_view path, FileEntry& entry) {
  thread_local Document document;  // keeps its buffer from one sidecar to the next
  ARTCACHE_CHECK(document.parse(bytes, path));
  return Decoder(document).run(entry);
}

}  // namespace artcache::attr
