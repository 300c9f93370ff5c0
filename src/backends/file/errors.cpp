// SPDX-License-Identifier: Apache-2.0
#include "backends/file/errors.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "util/utf8.hpp"

namespace artcache::file {
namespace {

Errc code_of(Errno code) {
  switch (code) {
    case ENOENT:
      return Errc::not_found;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return Errc::no_space;
    case EEXIST:
      return Errc::conflict;
    case ENAMETOOLONG:
    case EINVAL:
    case ENOTDIR:
    case EISDIR:
    case EILSEQ:  // a file system that takes only some encodings
      return Errc::invalid_argument;
    case ELOOP:
    case EXDEV:
    case ENXIO:
    case ENODEV:
    case EOPNOTSUPP:
      return Errc::unsupported;
    default:
      return Errc::unavailable;  // EIO, EROFS, EACCES, EPERM, ESTALE, EMFILE and rarer ones
  }
}

std::string cause_of(Errno code) {
  switch (code) {
    case ELOOP:
    case EXDEV:
      return "is a symbolic link, or lies behind one, which is not followed";
    case ENXIO:
    case ENODEV:
      return "is no regular file";
    case EACCES:
    case EPERM:
      return std::generic_category().message(code) + ": user " + std::to_string(::geteuid()) +
             " needs access to it";
    default:
      return std::generic_category().message(code);
  }
}

}  // namespace

Error own_error(Errc code, std::string_view operation, std::string_view path,
                std::string_view cause) {
  std::string message = "file: ";
  message.append(operation).append(" '").append(printable(path)).append("': ").append(cause);
  return Error{code, std::move(message)};
}

Error errno_error(Errno code, std::string_view operation, std::string_view path) {
  return own_error(code_of(code), operation, path, cause_of(code));
}

Error not_regular(unsigned mode, std::string_view operation, std::string_view path) {
  const char* what = "is no regular file";
  switch (mode & S_IFMT) {
    case S_IFLNK:
      what = "is a symbolic link, which is not followed";
      break;
    case S_IFDIR:
      what = "is a folder";
      break;
    case S_IFIFO:
      what = "is a named pipe";
      break;
    case S_IFSOCK:
      what = "is a socket";
      break;
    case S_IFBLK:
    case S_IFCHR:
      what = "is a device";
      break;
    default:
      break;
  }
  return own_error(Errc::unsupported, operation, path, what);
}

std::string printable(std::string_view path) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(path.size());
  while (!path.empty()) {
    const std::size_t valid = util::utf8_valid_prefix(path);
    out.append(path.substr(0, valid));
    path.remove_prefix(valid);
    if (path.empty()) break;
    const auto byte = static_cast<unsigned char>(path.front());
    out.append("\\x").push_back(kDigits[byte >> 4]);
    out.push_back(kDigits[byte & 0x0f]);
    path.remove_prefix(1);
  }
  return out;
}

}  // namespace artcache::file
