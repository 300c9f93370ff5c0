// SPDX-License-Identifier: Apache-2.0
#include "roles/ingester/multipart_body.hpp"

#include <algorithm>
#include <cstring>

#include "auth/secret.hpp"
#include "util/try.hpp"

namespace artcache::ingester {
namespace {

/// Between quotes of a header, where a line must not end.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '_' : c;
  }
  return out += '"';
}

void append_fields(std::string& out, const std::string& boundary, const FormFields& fields) {
  for (const auto& [name, value] : fields)
    out.append("--")
        .append(boundary)
        .append("\r\nContent-Disposition: form-data; name=")
        .append(quoted(name))
        .append("\r\n\r\n")
        .append(value)
        .append("\r\n");
}

}  // namespace

MultipartBody::MultipartBody(const FormFields& before, FormFile file,
                             std::function<Result<FormFields>()> after)
    // Nobody outside can guess it, so that no file can hold it on purpose.
    : boundary_("artcache-" + auth::random_hex(24)),
      file_(std::move(file)),
      after_(std::move(after)) {
  append_fields(text_, boundary_, before);
  text_.append("--").append(boundary_).append("\r\nContent-Disposition: form-data; name=\"file\"");
  text_.append("; filename=").append(quoted(file_.filename));
  if (!file_.content_type.empty()) {
    text_.append("\r\nContent-Type: ");
    for (const char c : file_.content_type)
      text_ += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '_' : c;
  }
  text_.append("\r\n\r\n");
  left_ = text_;
}

std::string MultipartBody::content_type() const {
  return "multipart/form-data; boundary=" + boundary_;
}

Result<std::size_t> MultipartBody::read(std::span<std::byte> into) {
  while (stage_ != Stage::done) {
    if (stage_ == Stage::rest && file_.rest) {
      begun_rest_ = true;
      ARTCACHE_TRY(const std::size_t bytes, file_.rest(into));
      file_bytes_ += bytes;
      if (bytes > 0) return bytes;
    } else if (!left_.empty()) {
      const std::size_t bytes = std::min(left_.size(), into.size());
      std::memcpy(into.data(), left_.data(), bytes);
      left_.remove_prefix(bytes);
      if (stage_ == Stage::front) file_bytes_ += bytes;
      return bytes;
    }
    ARTCACHE_CHECK(next_stage());
  }
  return std::size_t{0};
}

Result<std::string> MultipartBody::read_all() {
  std::string out;
  while (stage_ != Stage::done) {
    out.append(left_);
    if (stage_ == Stage::front) file_bytes_ += left_.size();
    left_ = {};
    ARTCACHE_CHECK(next_stage());
  }
  return out;
}

Result<void> MultipartBody::next_stage() {
  stage_ = static_cast<Stage>(static_cast<int>(stage_) + 1);
  if (stage_ == Stage::front) left_ = file_.front;
  if (stage_ != Stage::tail) return {};
  ARTCACHE_TRY(const FormFields fields, after_());
  text_ = "\r\n";
  append_fields(text_, boundary_, fields);
  text_.append("--").append(boundary_).append("--\r\n");
  left_ = text_;
  return {};
}

}  // namespace artcache::ingester
