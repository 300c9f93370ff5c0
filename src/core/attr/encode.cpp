// SPDX-License-Identifier: Apache-2.0
// From an entry to a new sidecar, and small changes to one that exists.
#include <algorithm>
#include <artcache/json_writer.hpp>
#include <artcache/storage_backend.hpp>
#include <utility>

#include "core/attr/members.hpp"
#include "core/attr/sidecar.hpp"
#include "util/try.hpp"
#include "util/utf8.hpp"

namespace artcache::attr {
namespace {

Error invalid(Field field, std::string_view what) {
  return Error{Errc::invalid_argument,
               std::string("sidecar: '").append(name_of(field)).append("' ").append(what)};
}

struct TextLimit {
  Field field;
  const std::string* text;
  std::size_t characters_most;
};

Result<void> check_text(const TextLimit& limit) {
  const std::string& text = *limit.text;
  if (util::utf8_valid_prefix(text) != text.size()) return invalid(limit.field, "is not UTF-8");
  if (text.find('\0') != std::string::npos) return invalid(limit.field, "holds a NUL");
  if (util::utf8_length(text) > limit.characters_most)
    return invalid(limit.field,
                   "is longer than " + std::to_string(limit.characters_most) + " characters");
  return {};
}

/// Looked at where it will stand, as a member of the document: that decides how deep it may nest.
Result<void> check_object(Field field, std::string_view json) {
  const std::string document = std::string("{\"\":").append(json).append("}");
  util::JsonScanner scanner(document);
  util::JsonValue name, value;
  const bool one = scanner.check_start() && scanner.enter_object() &&
                   scanner.next_member(name, value) && value.kind == util::JsonKind::object;
  if (!one || scanner.next_member(name, value) || scanner.failed() || !scanner.at_end())
    return invalid(field, "is not a JSON object");
  return {};
}

Result<void> check_tags(const std::vector<std::string>& tags) {
  if (tags.size() > kTagsMost)
    return invalid(Field::tags, "are more than " + std::to_string(kTagsMost));
  for (const std::string& tag : tags) ARTCACHE_CHECK(check_text({Field::tags, &tag, 50}));
  return {};
}

Result<void> check_days(const std::optional<std::int64_t>& days) {
  if (days && *days < 0) return invalid(Field::ttl_days, "is negative");
  if (days && *days > kDaysMost) return invalid(Field::ttl_days, "is too large");
  return {};
}

Result<void> check_time(Field field, Timestamp time) {
  if (time < Timestamp::min() || time > Timestamp::max())
    return invalid(field, "is not between the years 1 and 9999");
  return {};
}

Result<void> check_times(const FileEntry& entry) {
  ARTCACHE_CHECK(check_time(Field::created_at, entry.created_at));
  ARTCACHE_CHECK(check_time(Field::updated_at, entry.updated_at));
  if (!entry.retention_expires_at) return {};
  return check_time(Field::retention_expires_at, *entry.retention_expires_at);
}

/// The limits of the documented table, kept here because the engines have none of their own.
Result<void> check_limits(const FileEntry& entry) {
  const std::string none;
  const auto or_none = [&](const std::optional<std::string>& text) {
    return text ? &*text : &none;
  };
  for (const TextLimit& limit :
       {TextLimit{Field::original_filename, &entry.original_filename, 500},
        TextLimit{Field::storage_filename, &entry.storage_filename, 500},
        TextLimit{Field::storage_path, &entry.storage_path, 1000},
        TextLimit{Field::content_type, &entry.content_type, 255},
        TextLimit{Field::created_by_id, &entry.created_by_id, 255},
        TextLimit{Field::created_by_username, &entry.created_by_username, 255},
        TextLimit{Field::created_by_fullname, or_none(entry.created_by_fullname), 500},
        TextLimit{Field::description, or_none(entry.description), kReadMostDefault},
        TextLimit{Field::version, or_none(entry.version), 50},
        TextLimit{Field::retention_policy, or_none(entry.retention_policy), 50}})
    ARTCACHE_CHECK(check_text(limit));
  ARTCACHE_CHECK(check_tags(entry.tags));
  ARTCACHE_CHECK(check_days(entry.ttl_days));
  ARTCACHE_CHECK(check_times(entry));
  if (entry.storage_filename.empty() || entry.storage_filename.find('/') != std::string::npos)
    return invalid(Field::storage_filename, "is not the name of a file");
  if (!entry.storage_path.empty() && !entry.storage_path.ends_with('/'))
    return invalid(Field::storage_path, "does not end with a slash");
  ARTCACHE_CHECK(check_storage_path(entry.data_path()));
  if (entry.file_size > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
    return invalid(Field::file_size, "is too large");
  ARTCACHE_CHECK(check_object(Field::metadata, entry.metadata));
  if (!entry.custom_attributes.empty())
    ARTCACHE_CHECK(check_object(Field::custom_attributes, entry.custom_attributes));
  return {};
}

/// The truth must say what the entry says. Each member by itself may be fine and the whole not: an
/// unknown member that is a name of a field left out, white space inside a JSON text.
Result<void> check_reads_back(const FileEntry& entry, std::string_view text) {
  const auto refuse = [](std::string_view why) {
    return Error{Errc::invalid_argument,
                 std::string("sidecar: the entry would not read back: ").append(why)};
  };
  FileEntry back;
  if (const auto read = decode(text, "new", back); !read) return refuse(read.error().message);
  if (back.metadata != entry.metadata) return refuse("'metadata' holds white space");
  if (back.custom_attributes != entry.custom_attributes)
    return refuse("'custom_attributes' is empty or holds white space");
  if (back.unknown_members != entry.unknown_members)
    return refuse("the unknown members are not JSON members, or name a field");
  if (back != entry) return refuse("an unknown member names a field, or a path is not in order");
  return {};
}

Result<std::string> within_limit(std::string text, std::size_t size_most) {
  if (text.size() <= size_most) return text;
  return Error{Errc::invalid_argument, "sidecar: it would have " + std::to_string(text.size()) +
                                           " bytes and may have " + std::to_string(size_most) +
                                           "; shorten description, metadata or tags"};
}

class Writer {
 public:
  Writer() : json_(JsonWriter::Layout::indented) {}

  template <class V>
  void put(Field field, const V& value) {
    json_.member(name_of(field), value);
  }
  /// v1 writes these as null when they are absent.
  void put_or_null(Field field, const std::optional<std::string>& text) {
    json_.key(name_of(field));
    text ? json_.value(*text) : json_.null();
  }
  void put_raw(Field field, std::string_view json) { json_.key(name_of(field)).raw(json); }
  void put_tags(const std::vector<std::string>& tags) {
    json_.key(name_of(Field::tags)).raw(tags_text(tags));
  }
  void put_unknown(std::string_view members) {
    if (members.empty()) return;
    const std::string object = "{" + std::string(members) + "}";
    util::JsonScanner scanner(object);
    util::JsonValue name, value;
    scanner.enter_object();
    while (scanner.next_member(name, value)) json_.raw_key(name.text).raw(value.text);
  }
  static std::string tags_text(const std::vector<std::string>& tags) {
    JsonWriter list;
    list.begin_array();
    for (const std::string& tag : tags) list.value(tag);
    return std::move(list.end_array()).str();
  }
  JsonWriter json_;
};

}  // namespace

Result<std::string> encode(const FileEntry& entry, std::size_t size_most) {
  ARTCACHE_CHECK(check_limits(entry));
  Writer out;
  out.json_.begin_object();
  const bool v2 = !entry.custom_attributes.empty();
  if (v2) out.put(Field::schema_version, "2.0");
  out.put(Field::file_id, to_string(entry.id));
  out.put(Field::original_filename, entry.original_filename);
  out.put(Field::storage_filename, entry.storage_filename);
  out.put(Field::file_size, entry.file_size);
  out.put(Field::content_type, entry.content_type);
  out.put(Field::created_at, to_string(entry.created_at));
  out.put(Field::updated_at, to_string(entry.updated_at));
  out.put(Field::created_by_id, entry.created_by_id);
  out.put(Field::created_by_username, entry.created_by_username);
  out.put_or_null(Field::created_by_fullname, entry.created_by_fullname);
  out.put_or_null(Field::description, entry.description);
  out.put_or_null(Field::version, entry.version);
  out.put(Field::storage_path, entry.storage_path);
  out.put(Field::checksum, to_string(entry.checksum));
  if (!entry.tags.empty()) out.put_tags(entry.tags);
  if (entry.retention_policy) out.put(Field::retention_policy, *entry.retention_policy);
  if (entry.ttl_days) out.put(Field::ttl_days, *entry.ttl_days);
  if (entry.retention_expires_at)
    out.put(Field::retention_expires_at, to_string(*entry.retention_expires_at));
  out.put_raw(Field::metadata, entry.metadata);
  if (v2) out.put_raw(Field::custom_attributes, entry.custom_attributes);
  out.put_unknown(entry.unknown_members);
  out.json_.end_object();
  std::string text = std::move(out.json_).str();
  ARTCACHE_CHECK(check_reads_back(entry, text));
  return within_limit(std::move(text), size_most);
}

namespace {

/// One member that gets a new value.
struct Edit {
  Field field;
  std::string json;
};

std::string quoted(std::string_view text) {
  std::string json;
  append_json_string(json, text);
  return json;
}

std::string quoted_or_null(const std::optional<std::string>& text) {
  return text ? quoted(*text) : "null";
}

Result<std::vector<Edit>> edits_of(const Changes& changes) {
  std::vector<Edit> edits;
  const auto text = [&](Field field, const auto& change, std::size_t most) -> Result<void> {
    if (!change) return {};
    if (*change) ARTCACHE_CHECK(check_text({field, &**change, most}));
    edits.push_back({field, quoted_or_null(*change)});
    return {};
  };
  ARTCACHE_CHECK(text(Field::description, changes.description, kReadMostDefault));
  ARTCACHE_CHECK(text(Field::version, changes.version, 50));
  ARTCACHE_CHECK(text(Field::retention_policy, changes.retention_policy, 50));
  if (changes.metadata) {
    ARTCACHE_CHECK(check_object(Field::metadata, *changes.metadata));
    edits.push_back({Field::metadata, *changes.metadata});
  }
  if (changes.custom_attributes) {
    ARTCACHE_CHECK(check_object(Field::custom_attributes, *changes.custom_attributes));
    edits.push_back({Field::schema_version, quoted("2.0")});
    edits.push_back({Field::custom_attributes, *changes.custom_attributes});
  }
  if (changes.tags) {
    ARTCACHE_CHECK(check_tags(*changes.tags));
    edits.push_back({Field::tags, Writer::tags_text(*changes.tags)});
  }
  if (changes.ttl_days) {
    ARTCACHE_CHECK(check_days(*changes.ttl_days));
    edits.push_back(
        {Field::ttl_days, *changes.ttl_days ? std::to_string(**changes.ttl_days) : "null"});
  }
  if (const auto& end = changes.retention_expires_at) {
    if (*end) ARTCACHE_CHECK(check_time(Field::retention_expires_at, **end));
    edits.push_back({Field::retention_expires_at, *end ? quoted(to_string(**end)) : "null"});
  }
  ARTCACHE_CHECK(check_time(Field::updated_at, changes.updated_at));
  edits.push_back({Field::updated_at, quoted(to_string(changes.updated_at))});
  return edits;
}

/// A piece of the document, and what stands there instead.
struct Splice {
  std::size_t begin, length;
  std::string text;
};

/// The white space between two members, so that an added one looks like its neighbours.
std::string_view gap_before_last(std::string_view bytes, const Document& document) {
  const char* const name = document.members().back().name.text.data();
  const auto end = static_cast<std::size_t>(name - bytes.data());
  const std::size_t before = bytes.find_last_not_of(" \t\r\n", end - 1);
  return bytes.substr(before + 1, end - before - 1);
}

}  // namespace

Result<std::string> rewrite(std::string_view bytes, std::string_view path, const Changes& changes,
                            std::size_t size_most) {
  ARTCACHE_TRY(const std::vector<Edit> edits, edits_of(changes));
  FileEntry entry;  // what does not decode as it stands is not touched
  ARTCACHE_CHECK(decode(bytes, path, entry));
  Document document;
  ARTCACHE_CHECK(document.parse(bytes, path));

  std::vector<Splice> splices;
  const auto replace = [&](const Member& member, const std::string& json) {
    const auto begin = static_cast<std::size_t>(member.value.text.data() - bytes.data());
    splices.push_back({begin, member.value.text.size(), json});
  };
  std::string added;
  for (const Edit& edit : edits) {
    if (edit.json == "null") {
      // Under every name: one that lost so far would otherwise take the place of this one.
      for (const Member& member : document.members())
        if (Document::names(member, edit.field)) replace(member, edit.json);
    } else if (const Member* member = document.slot(edit.field)) {
      replace(*member, edit.json);
    } else {
      added.append(",").append(gap_before_last(bytes, document));
      added.append(quoted(name_of(edit.field))).append(": ").append(edit.json);
    }
  }
  const std::string_view last = document.members().back().value.text;
  const auto tail = static_cast<std::size_t>(last.data() + last.size() - bytes.data());
  splices.push_back({tail, 0, added});

  std::ranges::stable_sort(splices, {}, &Splice::begin);
  std::string out;
  std::size_t at = 0;
  for (const Splice& splice : splices) {
    out.append(bytes.substr(at, splice.begin - at)).append(splice.text);
    at = splice.begin + splice.length;
  }
  out.append(bytes.substr(at));
  if (const auto read = decode(out, path, entry); !read)
    return Error{Errc::invalid_argument,
                 "sidecar: it would not read back: " + read.error().message};
  // What was not asked to shrink may be longer than the limit for new ones already.
  return within_limit(std::move(out), std::max(size_most, bytes.size()));
}

}  // namespace artcache::attr
