// SPDX-License-Identifier: Apache-2.0
// The two paths under which files are uploaded.
#include <utility>

#include "common/json_read.hpp"
#include "http/multipart.hpp"
#include "roles/ingester/upload.hpp"

namespace artcache::ingester {
namespace {

using http::Reply;
using http::Request;

// As UploadForm reads them.
constexpr http::BodyField kUploadBody[] = {{"file", "file", http::BodyField::Need::needed},
                                           {"retention_policy", "string"},
                                           {"ttl_days", "integer"},
                                           {"retention_days", "integer"},
                                           {"tags", "string"},
                                           {"metadata", "string"},
                                           {"custom_attributes", "string"},
                                           {"description", "string"},
                                           {"version", "string"}};
// Fields, headers and boundaries beside the file.
constexpr std::uint64_t kFormMost = 1024 * std::uint64_t{1024};

Reply upload(Parts& parts, Request& request) {
  const auto missing = unprocessable("body", "file", "Field required", "missing");
  const auto type = request.headers.find("Content-Type");
  if (!type || !type->starts_with("multipart/form-data")) return missing;
  const auto boundary = http::multipart_boundary(*type);
  if (!boundary) return boundary.error();
  http::MultipartReader reader(*request.body, *boundary);
  UploadForm form(reader);
  const auto has_file = form.read_to_file();
  if (!has_file) return has_file.error();
  if (!*has_file) return missing;
  if (form.filename().empty())
    return unprocessable("body", "file", "The file has no name", "value_error");
  if (auto read = form.read_front(parts.options.spool); !read) return read.error();
  if (form.metadata_broken())
    return http::Problem{.status = 400, .detail = "Invalid JSON in metadata field"};
  return Upload(parts, request, form).run();
}

}  // namespace

Result<void> add_upload_routes(http::Site& site, Parts& parts) {
  for (const char* pattern : {"/api/v1/upload", "/api/v1/files/upload"}) {
    http::Route route{.method = http::Method::post, .pattern = pattern};
    route.body_most = parts.options.upload_most + kFormMost;
    route.summary = "Stores a file on the element that is filled next";
    route.handler = [&parts](Request& request) { return upload(parts, request); };
    route.body = {http::BodyShape::Media::form_data, kUploadBody};
    if (auto added = site.add(parts.gate->protect(std::move(route), auth::writers())); !added)
      return added;
  }
  return {};
}

}  // namespace artcache::ingester
