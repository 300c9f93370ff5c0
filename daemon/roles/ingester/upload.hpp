// SPDX-License-Identifier: Apache-2.0
// One upload on its way: which element takes it, and what becomes of it when that one fails.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "roles/ingester/ingester.hpp"
#include "roles/ingester/upload_form.hpp"

namespace artcache::ingester {

/// For one request, on one thread.
class Upload {
 public:
  /// `form` has been read to its front.
  Upload(Parts& parts, const http::Request& request, UploadForm& form);

  /// Finds an element and sends the file there. Nothing of it stays on an element that does not
  /// answer for it, though what nobody knows of is removed only later.
  http::Reply run();

 private:
  /// Nothing: the next element is to be tried.
  std::optional<http::Reply> attempt(const ElementView& element);
  std::optional<http::Reply> broken(const ElementView& element, const MultipartBody& body,
                                    const Error& error);
  std::optional<http::Reply> refused(const ElementView& element, const MultipartBody& body,
                                     const web::HttpReply& reply);
  Result<ElementView> choose();
  Result<FormFields> behind_the_file();
  http::Reply stored(const ElementView& element, const std::string& json);
  http::Reply created(const ElementView& element, const FileFacts& facts);
  Result<void> doubt(const ElementView& element);
  void count(std::string_view status);

  Parts& parts_;
  const http::Request& request_;
  UploadForm& form_;
  const FileId id_;
  const Clock::SteadyTime begun_;
  Keeping keeping_;
  std::optional<Timestamp> expires_;
  std::vector<std::string> excluded_;
  std::optional<Error> client_error_;  ///< the client's part of the stream broke
  bool token_renewed_ = false;         ///< an element has refused one for this file
};

}  // namespace artcache::ingester
