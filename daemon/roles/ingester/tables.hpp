// SPDX-License-Identifier: Apache-2.0
// What the ingester keeps: finalizes, and files that are to be removed somewhere. Each function is
// part of the transaction it is given. Errors of all: those of the statements.
#pragma once

#include <artcache/file_id.hpp>
#include <artcache/timestamp.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/database.hpp"
#include "roles/ingester/editable.hpp"
#include "roles/ingester/finalize_machine.hpp"

namespace artcache::ingester {

struct Finalize {
  std::string id = {};
  FileId file = {};
  std::string source = {}, target = {};  ///< ids of elements
  FinalizeState state = {};
  /// Instead of what the source says, where there is one. metadata: a JSON object.
  std::optional<std::string> description = {}, metadata = {};
  std::string requested_by = {};
  Timestamp created_at = {};
  std::optional<Timestamp> completed_at = {};
  std::optional<Timestamp> cleanup_at = {};  ///< when the source is removed
  /// What the source said when the copy was first sent, or told of its edits last. Stored before
  /// there can be a copy.
  std::optional<Editable> base = {};
};

/// Errors besides: conflict (one of that file is running).
Result<void> add_finalize(db::Session& session, const Finalize& finalize);
Result<std::optional<Finalize>> find_finalize(db::Session& session, std::string_view id);
/// That of a file which began last.
Result<std::optional<Finalize>> last_finalize(db::Session& session, const FileId& file);
/// The last one that went from `source` to `target`.
Result<std::optional<Finalize>> last_finalize(db::Session& session, const FileId& file,
                                              std::string_view source, std::string_view target);
/// All that have not ended, the oldest first.
Result<std::vector<Finalize>> running_finalizes(db::Session& session);
/// Stores the state; 0 rows when it has ended already, which stays as it is.
Result<std::int64_t> store_finalize(db::Session& session, const Finalize& finalize);
/// Stores the base alone, also of one that has ended.
Result<void> store_base(db::Session& session, const Finalize& finalize);

/// Forgets up to `most` of those that ended before `time`, the oldest first. All of a file that is
/// still to be removed somewhere stay: what is removed there is compared with them.
Result<std::int64_t> remove_finalizes_before(db::Session& session, Timestamp time,
                                             std::int64_t most);

/// A file that an element is not to have.
struct Cleanup {
  FileId file = {};
  std::string element = {};
  std::string keeper = {};  ///< who must have it before it may be removed there; empty: nobody
  std::string reason = {};
  std::uint32_t attempts = 0;
  Timestamp due_at = {};
  friend bool operator==(const Cleanup&, const Cleanup&) = default;
};

/// Replaces one of that file and element.
Result<void> add_cleanup(db::Session& session, const Cleanup& cleanup);
Result<std::optional<Cleanup>> find_cleanup(db::Session& session, const FileId& file,
                                            std::string_view element);
Result<std::vector<Cleanup>> due_cleanups(db::Session& session, Timestamp now, std::int64_t most);
/// Those that came to nothing so often.
Result<std::int64_t> count_cleanups_tried(db::Session& session, std::uint32_t attempts_least);
/// Ids of the elements that are to lose the file.
Result<std::vector<std::string>> cleaned_elements(db::Session& session, const FileId& file);
/// Both of that very note: one that was written in its place since stays as it is.
Result<void> remove_cleanup(db::Session& session, const Cleanup& cleanup);
Result<void> postpone_cleanup(db::Session& session, const Cleanup& cleanup, const Cleanup& later);
Result<std::int64_t> count_cleanups(db::Session& session);

}  // namespace artcache::ingester
