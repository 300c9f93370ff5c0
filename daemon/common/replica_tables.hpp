// SPDX-License-Identifier: Apache-2.0
// What a role keeps that follows storage elements: their files, how far it is with each element,
// and what it could not apply. Each function is part of the transaction it is given; errors are
// those of its statements.
#pragma once

#include <artcache/content.hpp>
#include <artcache/follower.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/database.hpp"

namespace artcache::replica {

using db::Database;
using db::Session;

/// What there is under one key of an element.
struct Held {
  std::string key;
  std::optional<ContentHash> hash;  ///< nothing: a row that the original has left
  std::int64_t entry = 0;           ///< of SQLite alone
  std::string content = {};         ///< of SQLite alone, which must be told what words it forgets
};

/// Whose files these are.
struct Owner {
  std::string element, url;
};

struct BuriedLetter {
  std::string element;
  DeadLetter letter;
  Timestamp failed_at;
  std::optional<Timestamp> dropped_at = {};
};

/// Where the role is in the log of an element.
struct Followed {
  std::string element;
  Position position;
  std::size_t dead_letters = 0;  ///< without those that were dropped
};

/// How far a role is with each element, and its dead letters, in two tables:
/// standing(storage_element_id key, position, digest, files, updated_at) and
/// dead(storage_element_id, id key, seq, content_hash, kept_hash, reason, failed_at, dropped_at).
class Standings {
 public:
  constexpr Standings(std::string_view standing, std::string_view dead)
      : standing_(standing), dead_(dead) {}

  /// Without its dead letters. What was never followed is at epoch 0 and holds nothing.
  Result<Standing> find(Session& session, std::string_view element) const;
  /// Every element that was ever followed, by id.
  Result<std::vector<Followed>> list(Session& session) const;
  /// As find() for who is going to change it: other processes wait until this one is done.
  Result<Standing> lock(Session& session, std::string_view element, Timestamp now) const;
  Result<void> store(Session& session, std::string_view element, const Standing& standing,
                     Timestamp now) const;

  /// By element and key; all of one element, or of every one where `element` is empty.
  Result<std::vector<BuriedLetter>> list_dead(Session& session, std::string_view element) const;
  Result<void> bury(Session& session, std::string_view element, const DeadLetter& letter,
                    Timestamp now) const;
  /// The same record as before: what is kept in its place and the reason are told anew, no more.
  Result<void> keep_dead(Session& session, std::string_view element,
                         const DeadLetter& letter) const;
  Result<void> forget_dead(Session& session, std::string_view element,
                           std::span<const std::string> keys) const;
  /// Marks it as seen: it still counts in the digest, and nobody is told of it any more. False when
  /// there is none.
  Result<bool> drop_dead(Session& session, std::string_view element, std::string_view key,
                         Timestamp now) const;
  /// As if it had never been followed.
  Result<void> forget(Session& session, std::string_view element) const;

 private:
  std::string_view standing_, dead_;
};

/// Of a column that holds one; zeros where the original has left none.
ContentHash hash_of(sql::Bytes bytes);

/// For Tables::scan_files(): `text` selects key and hash of the element $1 behind the key $2, by
/// key, at most $3 of them.
Result<void> scan_by_key(Session& session, std::string_view text, std::string_view element,
                         const std::function<void(std::string_view, const ContentHash&)>& visit);

/// The files themselves, as the role wants them. One object serves all elements and threads.
class Tables {
 public:
  virtual ~Tables() = default;
  [[nodiscard]] virtual const Standings& standings() const = 0;

  /// Those that are there, in the order of keys.
  virtual Result<std::vector<Held>> find_held(Session& session, std::string_view element,
                                              std::span<const std::string> keys) const = 0;
  /// Puts and takes away. No key twice; `held` is what find_held() tells of all of them.
  virtual Result<void> put_files(Session& session, const Owner& owner,
                                 std::span<const PreparedEntry> files, std::span<const Held> held,
                                 Timestamp now) const = 0;
  virtual Result<void> remove_files(Session& session, std::string_view element,
                                    std::span<const std::string> keys,
                                    std::span<const Held> held) const = 0;
  /// The first of those keys that nothing but its files keeps here, in their order.
  virtual Result<std::vector<std::string>> first_keys(Session& session, std::string_view element,
                                                      std::size_t most) const = 0;
  /// All keys of an element with their hashes, by key. A row of the original has a hash of zeros,
  /// which no content has.
  virtual Result<void> scan_files(
      Session& session, std::string_view element,
      const std::function<void(std::string_view, const ContentHash&)>& visit) const = 0;
};

/// What a role calls its replica towards the outside.
struct Names {
  std::string_view logger;   ///< "query_sync"
  std::string_view metrics;  ///< how the names of its metrics begin: "artstore_query_"
  [[nodiscard]] std::string metric(std::string_view name) const {
    return std::string(metrics).append(name);
  }
};

}  // namespace artcache::replica
