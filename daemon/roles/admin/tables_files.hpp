// SPDX-License-Identifier: Apache-2.0
// What the admin keeps of files: the registry, which is a replica of all elements with marks of
// deletion on it, and the queue of those that are to be removed from their elements. Each function
// is part of the transaction it is given; errors are those of its statements.
#pragma once

#include <artcache/backends.hpp>
#include <artcache/file_entry.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/replica_tables.hpp"
#include "roles/admin/tables.hpp"

namespace artcache::admin {

/// One copy of a file; while it becomes permanent it has two.
struct RegisteredFile {
  FileEntry entry;
  std::string element;
  bool gone = false;  ///< its element has it no more; remembered because it was deleted here
  std::optional<Timestamp> deleted_at = {};
  std::optional<std::string> deletion_reason = {}, deleted_by = {};
};

/// The files as a replica. A mark of deletion outlives changes of the file and its absence, and it
/// covers copies that turn up later on any element: they join the queue, to be removed `delay`
/// later.
class FileTables final : public replica::Tables {
 public:
  FileTables(const Deps& deps, std::chrono::milliseconds delay) : deps_(deps), delay_(delay) {}

  [[nodiscard]] const replica::Standings& standings() const override { return standings_; }
  Result<std::vector<replica::Held>> find_held(Session& session, std::string_view element,
                                               std::span<const std::string> keys) const override;
  Result<void> put_files(Session& session, const replica::Owner& owner,
                         std::span<const PreparedEntry> files, std::span<const replica::Held> held,
                         Timestamp now) const override;
  Result<void> remove_files(Session& session, std::string_view element,
                            std::span<const std::string> keys,
                            std::span<const replica::Held> held) const override;
  Result<std::vector<std::string>> first_keys(Session& session, std::string_view element,
                                              std::size_t most) const override;
  Result<void> scan_files(
      Session& session, std::string_view element,
      const std::function<void(std::string_view, const ContentHash&)>& visit) const override;

 private:
  void tell_back(std::string_view element, std::int64_t files) const;

  const Deps deps_;
  const std::chrono::milliseconds delay_;
  replica::Standings standings_{"file_registry_sync", "file_registry_dead_letters"};
};

enum class Deleted : std::uint8_t { leave_out, include };

struct FileFilter {
  std::optional<std::string> retention_policy = {}, element = {}, uploaded_by = {};
  std::optional<std::string> name = {};  ///< a part of original_filename, in any case of ASCII
  Deleted deleted = Deleted::leave_out;
};

/// Every copy, the best first: that which is there and permanent, then the one changed last.
Result<std::vector<RegisteredFile>> find_copies(Session& session, const FileId& id);
/// The newest first. A file stands there once, as its best copy; where `element` is asked for, as
/// the copy there. The total counts no further than kFilesCounted.
inline constexpr std::int64_t kFilesCounted = 100'000;
Result<Listing<RegisteredFile>> list_files(Session& session, const FileFilter& filter,
                                           const Page& page);

struct Deletion {
  Timestamp at;
  std::string reason, by;
};
/// Marks every copy that has no mark yet, and puts it into the queue, due at `due`. How many.
Result<std::int64_t> delete_file(Session& session, const FileId& id, const Deletion& deletion,
                                 Timestamp due);
/// Takes the marks off again, and the copies out of the queue. Errors: conflict (the removal of one
/// of them has begun).
Result<void> restore_file(Session& session, const FileId& id);
/// Forgets files that were deleted before `time` and are gone, and what the queue tells of them.
Result<void> forget_deleted(Session& session, Timestamp time);

// --- The queue ----------------------------------------------------------------------------------

struct Cleanup {
  std::int64_t id = 0;
  std::string file_id, element, path, reason;
  std::int64_t priority = 100;  ///< lower ones first
  Timestamp scheduled_at, next_attempt_at;
  std::optional<Timestamp> attempted_at = {};  ///< last; from the first time on nothing is restored
  std::optional<Timestamp> processed_at = {};  ///< it is gone
  std::optional<std::string> error = {};       ///< why it is not, as of the last attempt
  std::int64_t retries = 0;
};

enum class CleanupState : std::uint8_t { any, pending, processed };

Result<std::vector<Cleanup>> due_cleanups(Session& session, Timestamp now, std::int64_t most);
/// False when somebody restored the file meanwhile.
Result<bool> begin_cleanup(Session& session, std::int64_t id, Timestamp now);
/// Stores times, error and retries.
Result<void> store_cleanup(Session& session, const Cleanup& cleanup);
/// Everything of an element that is due by `now` has failed once more and waits until `next`. How
/// many these were.
Result<std::int64_t> postpone_cleanups(Session& session, std::string_view element,
                                       std::string_view error, Timestamp now, Timestamp next);
/// The newest first.
Result<Listing<Cleanup>> list_cleanups(Session& session, CleanupState state,
                                       const std::optional<std::string>& file, const Page& page);
/// Due at once. Nothing when there is none; one that was processed stays so.
Result<std::optional<Cleanup>> hurry_cleanup(Session& session, std::int64_t id, Timestamp now);
Result<std::int64_t> count_pending(Session& session);

}  // namespace artcache::admin
