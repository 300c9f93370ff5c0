// SPDX-License-Identifier: Apache-2.0
// From errno to Error: one table for all of the file backend.
#pragma once

#include <artcache/result.hpp>
#include <string>
#include <string_view>

namespace artcache::file {

/// 0, or the errno of what failed. Inside this backend only, where ENOENT is often no error.
using Errno = int;

/// "file: open 'a/b': No such file or directory", with the code that tells a caller what to do.
Error errno_error(Errno code, std::string_view operation, std::string_view path);

/// The same shape with a code and cause of one's own.
Error own_error(Errc code, std::string_view operation, std::string_view path,
                std::string_view cause);

/// For links, and for what is neither a file nor a folder (S_IFMT of `mode`).
Error not_regular(unsigned mode, std::string_view operation, std::string_view path);

/// A name as it can be shown: bytes that are not UTF-8 as \xHH.
std::string printable(std::string_view path);

}  // namespace artcache::file
