// SPDX-License-Identifier: Apache-2.0
// What the query role keeps: files of all elements. Each function is part of the transaction it is
// given; errors are those of its statements.
#pragma once

#include <artcache/content.hpp>
#include <string_view>
#include <vector>

#include "common/replica_tables.hpp"

namespace artcache::query {

using db::Database;
using db::Engine;
using db::Row;
using db::Session;

using replica::BuriedLetter;
using replica::Held;
using replica::Owner;

/// All of it as the replica of elements that it is.
const replica::Tables& replica_tables();
inline const replica::Standings& standings() { return replica_tables().standings(); }

// --- Reading ------------------------------------------------------------------------------------

struct FoundFile {
  FileEntry entry;
  std::string element;
  Timestamp cached_at;
  unsigned rank = 0;  ///< as search_rank()
};

/// The columns that read_file() reads, of a table `f`. Errors: corrupt.
std::string_view file_columns(Engine engine);
Result<FoundFile> read_file(Row& row);

/// Every file of that id, the best first: permanent before unknown before temporary, then the one
/// that was changed last.
Result<std::vector<FoundFile>> find_files(Session& session, const FileId& id);

}  // namespace artcache::query
