// SPDX-License-Identifier: Apache-2.0
// From the bytes of a sidecar to an entry.
#include <artcache/storage_backend.hpp>
#include <charconv>
#include <limits>
#include <optional>

#include "core/attr/members.hpp"
#include "core/attr/sidecar.hpp"
#include "util/hash.hpp"
#include "util/quick_hash.hpp"
#include "util/try.hpp"

namespace artcache::attr {
namespace {

using util::JsonKind;
using util::JsonValue;

/// Another number whenever decode() or append_content() makes something else of the same bytes, as
/// the expectations of their tests show: then the next full rebuild decodes every sidecar, and not
/// only those whose bytes have changed.
constexpr std::uint64_t kDecoding = 1;

/// What a string means, in `buffer` only when it is spelled with escapes.
std::string_view plain(const JsonValue& value, std::string& buffer) {
  if (!value.escaped) return value.spelled();
  util::append_decoded(buffer, value);
  return buffer;
}

/// Reads the fields of one document. Every reader returns false when something is wrong, which
/// error() then names with its member; a Result for each of them would cost more than reading.
class Decoder {
 public:
  explicit Decoder(const Document& document) : document_(document) {}

  bool run(FileEntry& entry);
  [[nodiscard]] Error error() && { return std::move(*error_); }

 private:
  bool bad(Field field, std::string_view what) {
    const Member* member = document_.slot(field);
    error_ = document_.error(
        member->value.text.data(),
        std::string("member '").append(member->name.spelled()).append("': ").append(what));
    return false;
  }
  bool missing(Field field) {
    error_ = document_.error(document_.bytes().data(),
                             std::string("member '").append(name_of(field)).append("' is missing"));
    return false;
  }
  /// Nothing, with an error, when it is absent.
  const JsonValue* required(Field field) {
    const JsonValue* value = document_.find(field);
    if (value == nullptr) missing(field);
    return value;
  }

  bool text(Field field, const JsonValue& value, std::string& out);
  bool text_or(Field field, std::string_view fallback, std::string& out);
  bool optional_text(Field field, std::optional<std::string>& out);
  bool time(Field field, const JsonValue& value, Timestamp& out);
  bool integer(Field field, const JsonValue& value, std::int64_t most, std::int64_t& out);
  bool object(Field field, std::string_view fallback, std::string& out);

  bool identity(FileEntry& entry);
  bool size(FileEntry& entry);
  bool place(FileEntry& entry);
  bool moments(FileEntry& entry);
  bool people_and_texts(FileEntry& entry);
  bool version(FileEntry& entry);
  bool checksum(FileEntry& entry);
  bool tags(FileEntry& entry);
  bool retention(FileEntry& entry);
  bool objects(FileEntry& entry);
  bool schema();
  void unknown(FileEntry& entry) const;

  const Document& document_;
  std::optional<Error> error_;
};

bool Decoder::text(Field field, const JsonValue& value, std::string& out) {
  if (value.kind != JsonKind::string) return bad(field, "not a text");
  if (!value.escaped) {
    out.assign(value.spelled());
    return true;
  }
  out.clear();
  util::append_decoded(out, value);
  // Only an escape can bring one in: the scanner refuses control characters as they are.
  return out.find('\0') == std::string::npos || bad(field, "holds a NUL");
}

bool Decoder::text_or(Field field, std::string_view fallback, std::string& out) {
  if (const JsonValue* value = document_.find(field)) return text(field, *value, out);
  out.assign(fallback);
  return true;
}

bool Decoder::optional_text(Field field, std::optional<std::string>& out) {
  const JsonValue* value = document_.find(field);
  if (value != nullptr) return text(field, *value, out ? *out : out.emplace());
  out.reset();
  return true;
}

bool Decoder::time(Field field, const JsonValue& value, Timestamp& out) {
  if (value.kind != JsonKind::string) return bad(field, "not a date and time");
  std::string buffer;
  const auto parsed = Timestamp::parse(plain(value, buffer));
  if (!parsed) return bad(field, parsed.error().message);
  out = *parsed;
  return true;
}

bool Decoder::integer(Field field, const JsonValue& value, std::int64_t most, std::int64_t& out) {
  std::int64_t number = 0;
  const char* const last = value.text.data() + value.text.size();
  const auto [end, code] = std::from_chars(value.text.data(), last, number);
  if (value.kind != JsonKind::number || (code == std::errc() && end != last))
    return bad(field, "not a whole number");
  if (value.text.front() == '-' && (code != std::errc() || number != 0))
    return bad(field, "negative");
  if (code != std::errc() || number > most) return bad(field, "too large");
  out = number;
  return true;
}

bool Decoder::object(Field field, std::string_view fallback, std::string& out) {
  out.clear();
  const JsonValue* value = document_.find(field);
  if (value == nullptr) {
    out.append(fallback);
    return true;
  }
  if (value->kind != JsonKind::object) return bad(field, "not an object");
  util::append_minified(out, value->text);
  return true;
}

bool Decoder::identity(FileEntry& entry) {
  const JsonValue* id = required(Field::file_id);
  if (id == nullptr) return false;
  if (id->kind != JsonKind::string) return bad(Field::file_id, "not a UUID");
  std::string buffer;
  const auto parsed = FileId::parse(plain(*id, buffer));
  if (!parsed) return bad(Field::file_id, "not a UUID");
  entry.id = *parsed;
  const JsonValue* name = required(Field::original_filename);
  return name != nullptr && text(Field::original_filename, *name, entry.original_filename);
}

bool Decoder::size(FileEntry& entry) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  const JsonValue* value = required(Field::file_size);
  std::int64_t bytes = 0;
  if (value == nullptr || !integer(Field::file_size, *value, kMost, bytes)) return false;
  entry.file_size = static_cast<std::uint64_t>(bytes);
  return true;
}

/// Folder and name of the data file. Some dialects put both into storage_path, some leave the
/// slash at its end out.
bool Decoder::place(FileEntry& entry) {
  std::string& folder = entry.storage_path;
  std::string& name = entry.storage_filename;
  if (!text_or(Field::storage_path, "", folder)) return false;
  if (folder.starts_with('/')) return bad(Field::storage_path, "is absolute");
  const JsonValue* given = document_.find(Field::storage_filename);
  if (given != nullptr) {
    if (!text(Field::storage_filename, *given, name)) return false;
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
  if (folder.empty()) return true;
  if (const auto good = check_storage_path(folder); !good)
    return bad(Field::storage_path, good.error().message);
  folder.push_back('/');
  return true;
}

bool Decoder::moments(FileEntry& entry) {
  const JsonValue* created = required(Field::created_at);
  if (created == nullptr || !time(Field::created_at, *created, entry.created_at)) return false;
  entry.updated_at = entry.created_at;
  const JsonValue* updated = document_.find(Field::updated_at);
  // Most files are never changed, and then both are one text.
  return updated == nullptr || updated->text == created->text ||
         time(Field::updated_at, *updated, entry.updated_at);
}

bool Decoder::people_and_texts(FileEntry& entry) {
  return text_or(Field::content_type, "application/octet-stream", entry.content_type) &&
         text_or(Field::created_by_id, "unknown", entry.created_by_id) &&
         text_or(Field::created_by_username, "unknown", entry.created_by_username) &&
         optional_text(Field::created_by_fullname, entry.created_by_fullname) &&
         optional_text(Field::description, entry.description);
}

/// Free text in one dialect, a whole number in another.
bool Decoder::version(FileEntry& entry) {
  const JsonValue* value = document_.find(Field::version);
  if (value == nullptr || value->kind != JsonKind::number)
    return optional_text(Field::version, entry.version);
  std::int64_t number = 0;
  if (!integer(Field::version, *value, std::numeric_limits<std::int64_t>::max(), number))
    return false;
  entry.version = std::to_string(number);
  return true;
}

bool Decoder::checksum(FileEntry& entry) {
  const JsonValue* value = required(Field::checksum);
  if (value == nullptr) return false;
  if (value->kind != JsonKind::string) return bad(Field::checksum, "not a text");
  std::string buffer;
  std::string_view digits = plain(*value, buffer);
  if (digits.starts_with("sha256:")) digits.remove_prefix(7);
  return util::parse_hex(digits, entry.checksum.bytes) ||
         bad(Field::checksum, "not 64 hexadecimal digits");
}

bool Decoder::tags(FileEntry& entry) {
  std::size_t count = 0;
  if (const JsonValue* value = document_.find(Field::tags)) {
    util::JsonScanner scanner(value->text);
    if (!scanner.enter_array()) return bad(Field::tags, "not an array of texts");
    for (JsonValue element; scanner.next_element(element); ++count) {
      if (count == kTagsMost) return bad(Field::tags, "more than 1000 tags");
      if (count == entry.tags.size()) entry.tags.emplace_back();
      if (!text(Field::tags, element, entry.tags[count])) return false;
    }
  }
  entry.tags.resize(count);
  return true;
}

bool Decoder::retention(FileEntry& entry) {
  if (!optional_text(Field::retention_policy, entry.retention_policy)) return false;
  entry.ttl_days.reset();
  if (const JsonValue* days = document_.find(Field::ttl_days))
    if (!integer(Field::ttl_days, *days, kDaysMost, entry.ttl_days.emplace())) return false;
  entry.retention_expires_at.reset();
  const JsonValue* end = document_.find(Field::retention_expires_at);
  return end == nullptr ||
         time(Field::retention_expires_at, *end, entry.retention_expires_at.emplace());
}

bool Decoder::objects(FileEntry& entry) {
  if (!object(Field::metadata, "{}", entry.metadata) ||
      !object(Field::custom_attributes, "", entry.custom_attributes))
    return false;
  if (entry.custom_attributes == "{}") entry.custom_attributes.clear();
  return true;
}

bool Decoder::schema() {
  const JsonValue* value = document_.find(Field::schema_version);
  if (value == nullptr) return true;
  std::string buffer;
  if (value->kind == JsonKind::string)
    if (const auto number = plain(*value, buffer); number == "1.0" || number == "2.0") return true;
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

bool Decoder::run(FileEntry& entry) {
  if (!schema() || !identity(entry) || !size(entry) || !place(entry) || !moments(entry) ||
      !people_and_texts(entry) || !version(entry) || !checksum(entry) || !tags(entry) ||
      !retention(entry) || !objects(entry))
    return false;
  unknown(entry);
  return true;
}

}  // namespace

Result<void> decode(std::string_view bytes, std::string_view path, FileEntry& entry) {
  thread_local Document document;  // keeps its buffer from one sidecar to the next
  ARTCACHE_CHECK(document.parse(bytes, path));
  Decoder decoder(document);
  if (!decoder.run(entry)) return std::move(decoder).error();
  return {};
}

std::uint64_t text_hash(std::string_view bytes) {
  const std::uint64_t hash = util::quick_hash(bytes, kDecoding);
  return hash == 0 ? 1 : hash;
}

}  // namespace artcache::attr
