// SPDX-License-Identifier: Apache-2.0
// The lock manager over a LockStore: a loop of reading, deciding (lock_table.hpp) and writing.
#pragma once

#include <artcache/backends.hpp>
#include <artcache/lock_manager.hpp>
#include <memory>

namespace artcache::locks {

/// As make_lock_manager(), sharing the store.
Result<std::unique_ptr<LockManager>> manage(std::shared_ptr<LockStore> store, const Deps& deps);

}  // namespace artcache::locks
