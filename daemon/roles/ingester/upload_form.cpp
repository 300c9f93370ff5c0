// SPDX-License-Identifier: Apache-2.0
#include "roles/ingester/upload_form.hpp"

#include <algorithm>
#include <utility>

#include "common/json_read.hpp"
#include "common/tags_field.hpp"
#include "util/try.hpp"

namespace artcache::ingester {
namespace {

constexpr std::size_t kFieldMost = 64 * std::size_t{1024};
constexpr std::size_t kPiece = 64 * std::size_t{1024};

http::FieldProblem wrong(std::string_view name, std::string message, std::string type) {
  return {{"body", std::string(name)}, std::move(message), std::move(type)};
}

std::optional<std::int64_t> days(std::string_view name, const std::optional<std::string>& text,
                                 std::vector<http::FieldProblem>& problems) {
  if (!text) return std::nullopt;
  const auto number = parse_whole(*text);
  if (!number) {
    problems.push_back(
        wrong(name, "Input should be a valid integer, unable to parse string as an integer",
              "int_parsing"));
  } else if (*number < 1) {
    problems.push_back(
        wrong(name, "Input should be greater than or equal to 1", "greater_than_equal"));
  } else if (*number > kDaysMost) {
    problems.push_back(wrong(name,
                             "Input should be less than or equal to " + std::to_string(kDaysMost),
                             "less_than_equal"));
  } else {
    return number;
  }
  return std::nullopt;
}

}  // namespace

Keeping settle(const RetentionFields& fields, std::vector<http::FieldProblem>& problems) {
  Keeping out;
  if (fields.policy && *fields.policy == "permanent") {
    out.retention = Retention::permanent;
  } else if (fields.policy && *fields.policy != "temporary") {
    problems.push_back(
        wrong("retention_policy", "Input should be 'temporary' or 'permanent'", "enum"));
  }
  const auto ttl = days("ttl_days", fields.ttl_days, problems);
  const auto kept = days("retention_days", fields.retention_days, problems);
  if (ttl && kept && *ttl != *kept)
    problems.push_back(wrong("retention_days", "ttl_days says something else", "value_error"));
  if (out.retention == Retention::temporary) {
    out.ttl_days = kept ? *kept : ttl.value_or(kDaysUsual);
  } else if (fields.ttl_days || fields.retention_days) {
    problems.push_back(wrong(fields.ttl_days ? "ttl_days" : "retention_days",
                             "A permanent file is kept without an end", "value_error"));
  }
  return out;
}

Result<bool> UploadForm::read_to_file() {
  for (;;) {
    ARTCACHE_TRY(const auto head, parts_.next());
    if (!head) return false;
    if (head->name != "file") {
      ARTCACHE_CHECK(read_field(head->name));
      continue;
    }
    filename_ = head->filename.value_or("");
    if (!head->content_type.empty()) content_type_ = head->content_type;
    return true;
  }
}

Result<void> UploadForm::read_front(std::size_t most) {
  while (front_.size() < most) {
    const std::size_t had = front_.size();
    front_.resize(std::min(most, had + kPiece));
    const auto bytes =
        parts_.read(std::as_writable_bytes(std::span(front_.data() + had, front_.size() - had)));
    front_.resize(had + bytes.value_or(0));
    if (!bytes) return bytes.error();
    if (*bytes > 0) continue;
    whole_ = true;
    return read_rest();
  }
  return {};
}

Result<void> UploadForm::read_rest() {
  for (;;) {
    ARTCACHE_TRY(const auto head, parts_.next());
    if (!head) return {};
    if (head->name == "file") {
      refuse("file", "One file at a time", "value_error");
    } else {
      ARTCACHE_CHECK(read_field(head->name));
    }
  }
}

FormFields UploadForm::described(const std::optional<Timestamp>& expires) const {
  FormFields out = passed_on_;
  // In one field: a form has room for a hundred.
  if (!tags_.empty()) out.emplace_back("tags", list_of_tags(tags_));
  if (expires) out.emplace_back("ttl_expires_at", to_string(*expires));
  return out;
}

Keeping UploadForm::keeping() { return settle(retention_, problems_); }

void UploadForm::refuse(std::string name, std::string message, std::string type) {
  problems_.push_back(wrong(name, std::move(message), std::move(type)));
}

Result<void> UploadForm::read_field(const std::string& name) {
  auto text = parts_.read_text(kFieldMost);
  if (!text && text.error().code == Errc::no_space) {
    refuse(name, "String should have at most 65536 characters", "string_too_long");
    return {};
  }
  if (!text) return std::move(text).error();
  if (!text->empty()) take(name, *std::move(text));
  return {};
}

void UploadForm::take(const std::string& name, std::string text) {
  if (name == "retention_policy") {
    retention_.policy = std::move(text);
  } else if (name == "ttl_days") {
    retention_.ttl_days = std::move(text);
  } else if (name == "retention_days") {
    retention_.retention_days = std::move(text);
  } else if (name == "tags") {
    take_tags(text);
  } else if (name == "metadata" || name == "custom_attributes") {
    JsonObject wrapped("{\"o\":" + text + "}");
    const bool good = wrapped.object("o").has_value() && wrapped.problems().empty();
    if (!good && name == "metadata") metadata_broken_ = true;
    if (!good && name != "metadata") refuse(name, "Input should be a JSON object", "json_invalid");
    if (good) passed_on_.emplace_back(name, std::move(text));
  } else if (name == "description" || name == "version") {
    passed_on_.emplace_back(name, std::move(text));
  }
  // What the original asked for besides (storage_mode, compress) changes nothing here.
}

void UploadForm::take_tags(std::string_view text) {
  const std::size_t first = text.find_first_not_of(' ');
  const bool list = first != std::string_view::npos && text[first] == '[';
  const auto tags = list ? tags_of_list(text) : tags_of_words(text);
  if (!tags) return refuse("tags", "Input should be a valid list of strings", "list_type");
  tags_.insert(tags_.end(), tags->begin(), tags->end());
}

}  // namespace artcache::ingester
