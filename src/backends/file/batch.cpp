// SPDX-License-Identifier: Apache-2.0
#include "backends/file/batch.hpp"

#include <cstring>

#include "backends/file/names.hpp"
#include "util/try.hpp"

namespace artcache::file {
namespace {

constexpr std::size_t kFilesMost = 1000;
constexpr std::size_t kFilesEnough = 512;  // small folders share a batch up to here
constexpr std::size_t kProblemsMost = 256;
constexpr std::size_t kPathsSize = std::size_t{256} * 1024;

}  // namespace

Batch::Batch(const ListSink& sink) : sink_(sink), paths_(new char[kPathsSize]) {
  files_.reserve(kFilesMost);
}

Result<void> Batch::add(std::string_view folder, std::string_view name, const FileInfo& info) {
  char* const path = paths_.get() + used_;
  char* end = path;
  if (!folder.empty()) {
    std::memcpy(end, folder.data(), folder.size());
    end += folder.size();
    *end++ = '/';
  }
  std::memcpy(end, name.data(), name.size());
  end += name.size();
  const auto size = static_cast<std::size_t>(end - path);
  used_ += size;
  files_.push_back({std::string_view(path, size), info.stamp, info.modified});
  // The next path must fit: views into the arena forbid that it moves.
  if (files_.size() == kFilesMost || used_ + kPathMost > kPathsSize) return flush();
  return {};
}

Result<void> Batch::add_problem(std::string path, Error error) {
  problems_.push_back({std::move(path), std::move(error)});
  return problems_.size() == kProblemsMost ? flush() : Result<void>();
}

Result<void> Batch::end_folder() {
  return files_.size() >= kFilesEnough ? flush() : Result<void>();
}

Result<void> Batch::flush() {
  if (files_.empty() && problems_.empty()) return {};
  ARTCACHE_CHECK(sink_({files_, problems_}));
  files_.clear();
  problems_.clear();
  used_ = 0;
  return {};
}

}  // namespace artcache::file
