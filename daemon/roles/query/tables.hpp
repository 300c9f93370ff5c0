// SPDX-License-Identifier: Apache-2.0
// What the query role keeps: files of all elements, how far it is with each, and what it could not
// apply. Each function is part of the transaction it is given; errors are those of its statements.
#pragma once

#include <artcache/content.hpp>
#include <artcache/follower.hpp>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/database.hpp"

namespace artcache::query {

using db::Database;
using db::Engine;
using db::Row;
using db::Session;

/// What there is under one key of an element.
struct Held {
  std::string key;
  std::optional<ContentHash> hash;  ///< nothing: a row that the original has left
  std::int64_t entry = 0;           ///< of SQLite alone
  std::string content = {};         ///< of SQLite alone, which must be told what words it forgets
};
/// Those that are there, in no order.
Result<std::vector<Held>> find_held(Session& session, std::string_view element,
                                    std::span<const std::string> keys);

/// Whose files these are.
struct Owner {
  std::string element, url;
};
/// Puts and takes away. No key twice; `held` is what find_held() tells of all of them.
Result<void> put_files(Session& session, const Owner& owner, std::span<const PreparedEntry> files,
                       std::span<const Held> held, Timestamp now);
Result<void> remove_files(Session& session, std::string_view element,
                          std::span<const std::string> keys, std::span<const Held> held);

/// All keys of an element with their hashes, by key. A row of the original has a hash of zeros,
/// which no content has.
Result<void> scan_files(Session& session, std::string_view element,
                        const std::function<void(std::string_view, const ContentHash&)>& visit);

// --- How far it is ------------------------------------------------------------------------------

/// Without its dead letters. What was never followed is at epoch 0 and holds nothing.
Result<Standing> find_standing(Session& session, std::string_view element);
/// The same for who is going to change it: other processes wait until this one is done.
Result<Standing> lock_standing(Session& session, std::string_view element, Timestamp now);
Result<void> store_standing(Session& session, std::string_view element, const Standing& standing,
                            Timestamp now);

struct BuriedLetter {
  std::string element;
  DeadLetter letter;
  Timestamp failed_at;
  std::optional<Timestamp> dropped_at = {};
};
/// By element and key; all of one element, or of every one where `element` is empty.
Result<std::vector<BuriedLetter>> list_dead(Session& session, std::string_view element);
Result<void> bury(Session& session, std::string_view element, const DeadLetter& letter,
                  Timestamp now);
Result<void> forget_dead(Session& session, std::string_view element,
                         std::span<const std::string> keys);
/// Marks it as seen: it still counts in the digest, and nobody is told of it any more. False when
/// there is none.
Result<bool> drop_dead(Session& session, std::string_view element, std::string_view key,
                       Timestamp now);

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
