// SPDX-License-Identifier: Apache-2.0
#include "sql/sqlite/process.hpp"

#include <sqlite3.h>

namespace artcache::sql {

void count_no_sqlite_memory() { (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); }

}  // namespace artcache::sql
