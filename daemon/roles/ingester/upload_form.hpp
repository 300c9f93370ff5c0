// SPDX-License-Identifier: Apache-2.0
// The form of an upload: what the client says of its file, and the file itself as it arrives.
#pragma once

#include <artcache/result.hpp>
#include <artcache/timestamp.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "http/multipart.hpp"
#include "roles/ingester/multipart_body.hpp"
#include "roles/ingester/selection.hpp"

namespace artcache::ingester {

/// The words about how long a file is kept, as they came; empty ones count as not said.
struct RetentionFields {
  std::optional<std::string> policy = {}, ttl_days = {}, retention_days = {};
};

struct Keeping {
  Retention retention = Retention::temporary;
  std::optional<std::int64_t> ttl_days = {};  ///< always for a temporary one
};

constexpr std::int64_t kDaysUsual = 30, kDaysMost = 365;

/// temporary for 30 days unless something else is said. What is wrong is added to `problems`: no
/// such policy, no number, not 1 to 365 days, days for a permanent file, two different numbers.
Keeping settle(const RetentionFields& fields, std::vector<http::FieldProblem>& problems);

/// Read from the front: fields, the file, fields. For one thread.
class UploadForm {
 public:
  explicit UploadForm(http::MultipartReader& parts) : parts_(parts) {}

  /// Reads to the first byte of the file; false when the form has none.
  Result<bool> read_to_file();
  /// Keeps its first bytes, up to `most`; and if that is all of it, reads what is behind it.
  Result<void> read_front(std::size_t most);
  /// The next bytes of the file behind the front; 0 at its end.
  Result<std::size_t> read_file(std::span<std::byte> into) { return parts_.read(into); }
  /// The fields behind the file, to the end of the form.
  Result<void> read_rest();

  /// Of all fields read so far, what goes on to the element.
  [[nodiscard]] FormFields described(const std::optional<Timestamp>& expires) const;
  /// Of all fields read so far. What is wrong is in problems().
  Keeping keeping();
  [[nodiscard]] const std::vector<http::FieldProblem>& problems() const { return problems_; }
  void refuse(std::string name, std::string message, std::string type);

  /// The front is the whole file, and all fields were read.
  [[nodiscard]] bool whole() const { return whole_; }
  [[nodiscard]] const std::string& front() const { return front_; }
  [[nodiscard]] const std::string& filename() const { return filename_; }
  [[nodiscard]] const std::string& content_type() const { return content_type_; }
  /// `metadata` is no JSON, which has an answer of its own.
  [[nodiscard]] bool metadata_broken() const { return metadata_broken_; }

 private:
  Result<void> read_field(const std::string& name);
  void take(const std::string& name, std::string text);
  void take_tags(std::string_view text);

  http::MultipartReader& parts_;
  std::string filename_, content_type_ = "application/octet-stream";
  std::string front_;
  bool whole_ = false, metadata_broken_ = false;
  RetentionFields retention_;
  FormFields passed_on_;
  std::vector<std::string> tags_;
  std::vector<http::FieldProblem> problems_;
};

}  // namespace artcache::ingester
