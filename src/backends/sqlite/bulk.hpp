// SPDX-License-Identifier: Apache-2.0
// A new generation of tables, filled beside the old one and switched to in one commit.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "backends/sqlite/checkpointer.hpp"
#include "backends/sqlite/edit.hpp"
#include "backends/sqlite/writer.hpp"
#include "sql/pool.hpp"

namespace artcache::sqlite {

class Bulk final : public BulkLoad {
 public:
  /// Errors: conflict (the index is not nearly empty), lease_lost, and those of the engine.
  static Result<std::unique_ptr<Bulk>> begin(Writer& writer, sql::Pool& readers, const Names& names,
                                             const Deps& deps, std::uint64_t expected_rows,
                                             std::uint64_t fence, const Call& call);

  Result<void> add(std::span<const Row> rows, const Call& call) override;
  Result<Position> finish(const Call& call) override;
  Result<void> discard(const Call& call) override;
  [[nodiscard]] std::uint64_t resumed_rows() const override { return resumed_; }
  Result<std::vector<std::optional<ScannedFile>>> find_scanned(
      std::span<const std::string_view> paths, const Call& call) override;

 private:
  Bulk(Writer& writer, sql::Pool& readers, const Names& names, const Deps& deps,
       std::uint64_t fence)
      : writer_(writer),
        readers_(readers),
        names_(names),
        deps_(deps),
        fence_(fence),
        checkpointer_(readers) {}

  Result<void> open(sql::Connection& connection, const HeadRow& row);
  Result<bool> resume(sql::Connection& connection);
  /// How far it has come, in the same transaction that brought it there.
  Result<void> store(sql::Connection& connection) const;

  /// Fails when the lock is lost or another load has begun since: both fill the same tables.
  Result<void> check_mine(sql::Connection& connection) const;
  /// Adds rows until somebody else wants to write; returns how many.
  Result<std::size_t> add_some(sql::Connection& connection, std::span<const Row> rows);
  /// Keeps what is committed on its way into the database.
  void checkpoint(std::size_t rows, bool segment_ended);
  void remember_words(std::int64_t row, const SearchTokens& tokens);
  Result<void> remember_words_since(sql::Connection& connection, std::int64_t row);
  Result<void> add_words(sql::Connection& connection);
  Result<void> index(const Call& call);
  Result<std::optional<FileId>> drop_doubles(sql::Connection& connection,
                                             const std::optional<FileId>& after);
  Result<void> drop_losers(sql::Connection& connection, const FileId& id);
  class Merge;
  /// Takes over some of what writers did meanwhile; true when that was all.
  Result<bool> merge(sql::Connection& connection, const HeadRow& head);
  Result<void> switch_over(sql::Connection& connection, HeadRow& head);
  void count_in(const IndexedEntry& row);
  void count_out(const IndexedEntry& row);

  Writer& writer_;
  sql::Pool& readers_;
  const Names& names_;
  const Deps deps_;
  const std::uint64_t fence_;
  std::uint64_t generation_ = 0;
  std::int64_t token_ = 0;  // random; the table `load` holds that of the load begun last
  std::uint64_t begun_seq_ = 0;
  Digest digest_;
  std::uint64_t count_ = 0, bytes_ = 0;
  std::int64_t next_row_ = 1;
  /// Words of a row, as they stand behind each other in words_text_.
  struct Words {
    std::int64_t row = 0;
    std::size_t name = 0, tags = 0, rest = 0;
  };
  /// The words of the last rows wait here: a segment of the words table costs much the same whether
  /// it has the words of many rows or of few.
  std::vector<Words> words_;
  std::string words_text_;
  std::uint64_t resumed_ = 0;
  std::size_t unmoved_ = 0;    // rows since the last nudge
  Checkpointer checkpointer_;  // so that the load does not wait for the disk
};

}  // namespace artcache::sqlite
