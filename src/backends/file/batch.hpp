// SPDX-License-Identifier: Apache-2.0
// Files on their way to the sink of a listing. One for each thread, of a fixed size.
#pragma once

#include <artcache/storage_backend.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace artcache::file {

class Batch {
 public:
  explicit Batch(const ListSink& sink);

  /// Hands on what there is when there is no room for one more.
  Result<void> add(std::string_view folder, std::string_view name, const FileInfo& info);
  Result<void> add_problem(std::string path, Error error);
  /// A folder ends: a good moment to hand on a batch that is well filled.
  Result<void> end_folder();
  Result<void> flush();

 private:
  const ListSink& sink_;
  std::unique_ptr<char[]> paths_;
  std::size_t used_ = 0;
  std::vector<ListedFile> files_;
  std::vector<ListProblem> problems_;
};

}  // namespace artcache::file
