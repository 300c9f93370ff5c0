// SPDX-License-Identifier: Apache-2.0
// Upload: a form whose parts come in any order; the bytes go from the connection to the storage.
#include <utility>

#include "common/json_read.hpp"
#include "common/tags_field.hpp"
#include "http/multipart.hpp"
#include "roles/element/element.hpp"
#include "roles/element/file_work.hpp"
#include "roles/element/read_bounds.hpp"
#include "util/try.hpp"

namespace artcache::element {
namespace {

using http::FieldProblem;
using http::Problem;
using http::Reply;
using http::Request;

// Fields, headers and boundaries beside the file.
constexpr std::uint64_t kFormMost = 1024 * std::uint64_t{1024};
constexpr std::size_t kFieldMost = 64 * std::size_t{1024};

// As UploadForm reads them.
constexpr http::BodyField kUploadBody[] = {{"file", "file", http::BodyField::Need::needed},
                                           {"file_id", "string"},
                                           {"file_size", "integer"},
                                           {"checksum", "string"},
                                           {"uploaded_by_id", "string"},
                                           {"uploaded_by_username", "string"},
                                           {"uploaded_by_fullname", "string"},
                                           {"description", "string"},
                                           {"version", "string"},
                                           {"retention_policy", "string"},
                                           {"ttl_days", "integer"},
                                           {"ttl_expires_at", "date-time"},
                                           {"tags", "string"},
                                           {"metadata", "string"},
                                           {"custom_attributes", "string"}};

/// A form while it is read: what was said so far, and what was wrong with it.
class UploadForm final : public ByteSource {
 public:
  UploadForm(http::MultipartReader& parts, std::uint64_t most, const http::Identity* caller)
      : parts_(parts),
        most_(most),
        trusted_(caller != nullptr && caller->kind == "service_account" && caller->role != "user") {
    if (caller == nullptr) return;
    request.created_by_id = caller->id;
    request.created_by_username = caller->name;
  }

  UploadRequest request;
  std::vector<FieldProblem> problems;
  bool too_large = false, file_seen = false;

  /// Reads fields up to the file; true when there is one.
  Result<bool> read_to_file() {
    for (;;) {
      ARTCACHE_TRY(const auto head, parts_.next());
      if (!head) return false;
      if (head->name == "file" && !std::exchange(file_seen, true)) {
        request.original_filename = head->filename.value_or("");
        if (!head->content_type.empty()) request.content_type = head->content_type;
        return true;
      }
      ARTCACHE_CHECK(read_field(head->name, request));
    }
  }

  /// The bytes of the file.
  Result<std::size_t> read(std::span<std::byte> buffer, const Call&) override {
    ARTCACHE_TRY(const std::size_t bytes, parts_.read(buffer));
    taken_ += bytes;
    too_large = taken_ > most_;
    if (too_large)
      return Error{Errc::no_space, "a file may have " + std::to_string(most_) + " bytes"};
    return bytes;
  }

  /// The fields behind it.
  Result<void> read_rest(UploadRequest& whole) {
    for (;;) {
      ARTCACHE_TRY(const auto head, parts_.next());
      if (!head) break;
      if (head->name.starts_with("file_id") || head->name == "file_size" ||
          head->name == "checksum" || head->name.starts_with("uploaded_by_"))
        refuse(head->name, "The field must stand in front of the file", "value_error");
      ARTCACHE_CHECK(read_field(head->name, whole));
    }
    if (problems.empty()) return {};
    return Error{Errc::invalid_argument, "upload: a field behind the file is wrong"};
  }

 private:
  void refuse(const std::string& name, std::string message, std::string type) {
    problems.push_back({{"body", name}, std::move(message), std::move(type)});
  }

  Result<void> read_field(const std::string& name, UploadRequest& into) {
    auto text = parts_.read_text(kFieldMost);
    if (!text && text.error().code == Errc::no_space) {
      refuse(name, "String should have at most 65536 characters", "string_too_long");
      return {};
    }
    if (!text) return std::move(text).error();
    if (name == "file_id") {
      const auto id = FileId::parse(*text);
      if (!id) return Error{Errc::invalid_argument, "Invalid file_id format: " + *text};
      into.id = *id;
    } else if (name == "file_id_is_new") {
      // A promise of the ingester, which has minted it. Whoever else makes it gains nothing by it.
      into.id_is_new = trusted_ && *text == "true";
    } else if (name == "file_size" || name == "checksum") {
      expect(name, *text, into);
    } else if (name == "uploaded_by_id" || name == "uploaded_by_username") {
      // The ingester's account speaks for its callers; nobody else speaks for anybody.
      if (!trusted_ || text->empty()) return {};
      (name == "uploaded_by_id" ? into.created_by_id : into.created_by_username) = *text;
    } else {
      describe(name, std::move(*text), into);
    }
    return {};
  }

  /// What the file must be like, or it is not kept: said by who sends on what others sent.
  void expect(const std::string& name, const std::string& text, UploadRequest& into) {
    if (text.empty()) return;
    if (name == "file_size") {
      const auto size = parse_whole(text);
      if (size && *size >= 0)
        into.size = static_cast<std::uint64_t>(*size);
      else
        refuse(name, "Input should be a valid integer", "int_parsing");
      return;
    }
    if (const auto sum = Sha256Sum::parse(text); sum)
      into.checksum = *sum;
    else
      refuse(name, "Input should be a SHA-256 in hexadecimal digits", "value_error");
  }

  void describe(const std::string& name, std::string text, UploadRequest& into) {
    if (name == "description") {
      into.description = std::move(text);
    } else if (name == "version") {
      into.version = std::move(text);
    } else if (name == "uploaded_by_fullname" && trusted_) {
      into.created_by_fullname = std::move(text);
    } else if (name == "retention_policy") {
      if (!text.empty()) into.retention_policy = std::move(text);
    } else if (name == "ttl_days" && !text.empty()) {
      into.ttl_days = parse_whole(text);
      if (!into.ttl_days) refuse(name, "Input should be a valid integer", "int_parsing");
    } else if (name == "ttl_expires_at" && !text.empty()) {
      const auto moment = Timestamp::parse(text);
      if (moment)
        into.retention_expires_at = *moment;
      else
        refuse(name, "Input should be a valid datetime", "datetime_parsing");
    } else if (name == "tags") {
      add_tags(text, into);
    } else if ((name == "metadata" || name == "custom_attributes") && !text.empty()) {
      read_object(name, text, into);
    }
  }

  /// A list, words with commas, or one field for each.
  static void add_tags(std::string_view text, UploadRequest& into) {
    for (std::string& tag : tags_of_list(text).value_or(tags_of_words(text)))
      into.tags.push_back(std::move(tag));
  }

  void read_object(const std::string& name, const std::string& text, UploadRequest& into) {
    JsonObject wrapped("{\"o\":" + text + "}");
    auto object = wrapped.object("o");
    if (!object || !wrapped.problems().empty())
      refuse(name, "Input should be a JSON object", "json_invalid");
    else
      (name == "metadata" ? into.metadata : into.custom_attributes) = std::move(*object);
  }

  http::MultipartReader& parts_;
  const std::uint64_t most_;
  const bool trusted_;
  std::uint64_t taken_ = 0;
};

Problem upload_problem(UploadForm& form, const Error& error) {
  if (!form.problems.empty()) return unprocessable(std::move(form.problems));
  Problem problem = http::to_problem(error);
  if (form.too_large) problem.status = 413;
  if (error.code == Errc::no_space && !form.too_large) problem.status = 507;
  return problem;
}

http::Response created(const Element& element, const IndexedEntry& row) {
  const FileEntry& entry = row.entry;
  JsonWriter json;
  json.begin_object()
      .member("file_id", to_string(entry.id))
      .member("original_filename", entry.original_filename)
      .member("storage_filename", entry.storage_filename)
      .member("storage_path", entry.storage_path)
      .member("file_size", entry.file_size)
      .member("content_type", entry.content_type)
      .member("checksum", to_string(entry.checksum))
      .member("created_at", to_string(entry.created_at))
      .member("storage_element_id", element.settings().id)
      .member("message", "File uploaded successfully")
      .end_object();
  http::Response response = http::json_response(201, std::move(json).str());
  response.headers.add("Location", "/api/v1/files/" + to_string(entry.id));
  return response;
}

/// What can be said without the body; a client that waits with it sends none.
std::optional<Problem> refuse_early(ElementMode mode) {
  if (may_write_files(mode)) return std::nullopt;
  return Problem{.status = 400,
                 .detail = "File upload not allowed in " + std::string(to_string(mode)) + " mode"};
}

Reply upload(Element& element, Request& request) {
  const auto services = element.services();
  FileWork work(element, services->mode, FileWork::Kind::upload);
  if (auto problem = refuse_early(services->mode)) return std::move(*problem);
  const auto missing = unprocessable("body", "file", "Field required", "missing");
  const auto type = request.headers.find("Content-Type");
  if (!type || !type->starts_with("multipart/form-data")) return missing;
  const auto boundary = http::multipart_boundary(*type);
  if (!boundary) return boundary.error();
  http::MultipartReader parts(*request.body, *boundary);
  UploadForm form(parts, element.settings().upload_most,
                  request.identity ? &*request.identity : nullptr);
  const auto has_file = form.read_to_file();
  if (!has_file) return upload_problem(form, has_file.error());
  if (!*has_file) return missing;
  if (!form.problems.empty()) return unprocessable(std::move(form.problems));
  if (form.request.original_filename.empty())
    return unprocessable("body", "file", "The file has no name", "value_error");
  UploadRequest wanted = form.request;
  wanted.at_end = [&form](UploadRequest& whole) { return form.read_rest(whole); };
  const auto row = services->files.upload(wanted, form, request.call);
  if (!row) return upload_problem(form, row.error());
  work.add_bytes(row->entry.file_size);
  work.succeed();
  return created(element, *row);
}

}  // namespace

Result<void> add_upload_route(Element& element, http::Site& site) {
  http::Route route{.method = http::Method::post, .pattern = "/api/v1/files/upload"};
  route.body_most = element.settings().upload_most + kFormMost;
  route.summary = "Stores a file: multipart/form-data with a part `file`";
  route.handler =
      positioned(element, [&element](Request& request) { return upload(element, request); });
  route.body = {http::BodyShape::Media::form_data, kUploadBody};
  return site.add(element.parts().gate->protect(std::move(route), auth::writers()));
}

}  // namespace artcache::element
