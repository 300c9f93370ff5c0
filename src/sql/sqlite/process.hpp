// SPDX-License-Identifier: Apache-2.0
// What holds for all of SQLite in a process, and is therefore for programs to say, not for us.
#pragma once

namespace artcache::sql {

/// SQLite stops counting how much memory it uses. It counts under one lock of the whole process, at
/// every allocation, and a point read makes 17 of them: beside a load some wait for that lock. To
/// be called before the first database is opened by anybody; later it has no effect.
void count_no_sqlite_memory();

}  // namespace artcache::sql
