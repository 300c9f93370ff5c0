// SPDX-License-Identifier: Apache-2.0
// The names under which new files are stored.
#pragma once

#include <artcache/export.hpp>
#include <artcache/file_id.hpp>
#include <artcache/timestamp.hpp>
#include <string>
#include <string_view>

namespace artcache {

/// `stem_user_20260302T101112_uuid.ext`, at most 200 characters: a stem that does not fit is cut
/// and ends with `...`. Every character that a file system may refuse (`<>:"/\|?*` and control
/// characters) becomes `_`, runs of `_` become one, an empty stem is `file`. The extension is the
/// last suffix only, cleaned likewise and at most 32 characters. Bytes that are not UTF-8 become
/// `_` too. The result is always a plain file name that is no sidecar's and none of our own.
ARTCACHE_EXPORT std::string storage_filename(std::string_view original_filename,
                                             std::string_view username, Timestamp uploaded_at,
                                             const FileId& id);

/// `2026/03/02/10/`: the folder of an upload at that moment, in UTC.
ARTCACHE_EXPORT std::string storage_folder(Timestamp uploaded_at);

}  // namespace artcache
