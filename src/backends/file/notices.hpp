// SPDX-License-Identifier: Apache-2.0
// Changes below a local folder, by inotify.
#pragma once

#include <artcache/change_notices.hpp>
#include <artcache/clock.hpp>
#include <memory>
#include <string>
#include <vector>

#include "backends/file/root.hpp"

namespace artcache::file {

/// `hidden` as hide() was told. Every folder gets a watch; a file that is only cut short by its
/// path (truncate) and never opened is not noticed.
/// Errors: see StorageBackend::watch().
Result<std::unique_ptr<ChangeNotices>> watch_folders(const Root& root,
                                                     const std::vector<std::string>& hidden,
                                                     const WatchLimits& limits, const Clock& clock,
                                                     const Call& call);

}  // namespace artcache::file
