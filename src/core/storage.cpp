// SPDX-License-Identifier: Apache-2.0
#include <artcache/storage_backend.hpp>

#include <algorithm>

#include "util/try.hpp"
#include "util/utf8.hpp"

namespace artcache {
namespace {

constexpr std::size_t kPathMost = 1024;  // the most that S3 takes as a key

}  // namespace

Result<void> check_storage_path(std::string_view path) {
  const auto bad = [&](std::string_view why) {
    return Error{Errc::invalid_argument,
                 "path: '" + util::printable(path, 200) + "' " + std::string(why)};
  };
  if (path.empty()) return bad("is empty");
  if (path.size() > kPathMost) return bad("is longer than 1024 bytes");
  if (path.front() == '/') return bad("is absolute");
  if (path.find('\0') != std::string_view::npos) return bad("holds a NUL");
  if (util::utf8_valid_prefix(path) != path.size()) return bad("is not UTF-8");
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = path.substr(begin, end - begin);
    if (part.empty()) return bad("holds an empty part");  // one file would have two paths
    if (part == "." || part == "..") return bad("leaves its folder");
    begin = end + 1;
  }
  return {};
}

bool is_own_path(std::string_view path) {
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, end);
    if (part == ".artcache" || part == ".keep" || part.starts_with(".tmp_")) return true;
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return false;
}

Result<Stamp> StorageBackend::put(const PutRequest& request, std::string_view bytes,
                                  const Call& call) {
  PutRequest sized = request;
  sized.size = bytes.size();
  ARTCACHE_TRY(const auto file, stage(sized, call));
  ARTCACHE_CHECK(file->append(std::as_bytes(std::span(bytes)), call));
  return file->commit(call);
}

Result<void> StorageBackend::sync(std::string_view path, const Call& /*call*/) {
  return check_storage_path(path);
}

Result<std::unique_ptr<ChangeNotices>> StorageBackend::watch(const WatchLimits& /*limits*/,
                                                             const Call& /*call*/) {
  return Error{Errc::unsupported, "'" + describe() + "' tells of no changes"};
}

}  // namespace artcache
