// SPDX-License-Identifier: Apache-2.0
// Rows copied into a stage, which takes the place of the table in one transaction; where it cannot,
// they are moved over.
#pragma once

#include <artcache/backends.hpp>
#include <artcache/metadata_store.hpp>

#include "backends/postgres/link.hpp"
#include "backends/postgres/stage.hpp"
#include "backends/postgres/writer.hpp"

namespace artcache::postgres {

class Bulk final : public BulkLoad {
 public:
  /// Errors: conflict (the index is not nearly empty), lease_lost, and those of the engine.
  static Result<std::unique_ptr<Bulk>> begin(Links& links, const Names& names,
                                             const LogRetention& retention, const Deps& deps,
                                             std::uint64_t expected_rows, std::uint64_t fence,
                                             const Call& call);

  [[nodiscard]] std::uint64_t resumed_rows() const override { return resumed_; }
  Result<std::vector<std::optional<ScannedFile>>> find_scanned(
      std::span<const std::string_view> paths, const Call& call) override;
  Result<void> add(std::span<const Row> rows, const Call& call) override;
  Result<Position> finish(const Call& call) override;
  Result<void> discard(const Call& call) override;

 private:
  Bulk(Links& links, const Names& names, const LogRetention& retention, const Deps& deps,
       std::uint64_t fence, std::unique_ptr<sql::PostgresConnection> connection)
      : links_(links),
        names_(names),
        retention_(retention),
        deps_(deps),
        fence_(fence),
        connection_(std::move(connection)) {}

  Result<void> open(std::uint64_t expected_rows);
  Result<bool> resume(const HeadRow& row);
  /// Fails when the lock is lost or another load has begun since.
  Result<void> check_mine();
  /// Nothing where it cannot go this way.
  using Way = Result<std::optional<Position>> (Bulk::*)(Doubles, const Call&);
  Result<std::optional<Position>> bring_in(Way way, const Call& call);
  Result<std::optional<Position>> change_places(Doubles doubles, const Call& call);
  Result<void> build(Doubles doubles, const Call& call);
  Result<void> build_scan_beside(const Call& call);
  Result<std::optional<Position>> move_over(Doubles doubles, const Call& call);
  Result<void> fill(Doubles doubles);
  Result<std::optional<Position>> end();
  [[nodiscard]] std::string with_touched(std::string_view text) const;
  [[nodiscard]] Result<void> check_log_reaches_back(const HeadRow& row) const;

  Links& links_;
  const Names& names_;
  const LogRetention retention_;
  const Deps deps_;
  const std::uint64_t fence_;
  /// Its own for the whole load, which is long.
  const std::unique_ptr<sql::PostgresConnection> connection_;
  std::int64_t token_ = 0;  // random; the table `load` holds that of the load begun last
  std::uint64_t begun_at_ = 0;
  std::uint64_t resumed_ = 0;  // rows that an earlier load has left
};

/// The scan rows of these paths, in their order, from a table or query with the scan table's
/// columns.
Result<std::vector<std::optional<ScannedFile>>> find_scanned(
    sql::Connection& connection, const Names& names, std::string_view from,
    std::span<const std::string_view> paths);

}  // namespace artcache::postgres
