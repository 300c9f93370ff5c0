// SPDX-License-Identifier: Apache-2.0
// What a file is called until it is whole, and what becomes of it when its writer dies.
#pragma once

#include <string>
#include <string_view>

#include "backends/file/errors.hpp"
#include "util/fd.hpp"

namespace artcache::file {

struct Temporary {
  util::Fd file;
  std::string name;  ///< `.tmp_…`
};

/// Makes one in this folder for the file that will be called `target` there. The names follow from
/// that one, and whoever lives holds a lock on its own: so the next one who comes, a writer or
/// sweep_temporaries(), knows what was left by a writer that is dead. EEXIST: there are too many.
Errno make_temporary(int folder, std::string_view target, Temporary& out);

/// Takes away what dead writers of this file have left. Where the file system has no locks, all of
/// it stays; so does what more than two have left that wrote to it at the same time.
void sweep_temporaries(int folder, std::string_view target);

}  // namespace artcache::file
