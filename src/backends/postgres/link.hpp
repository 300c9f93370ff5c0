// SPDX-License-Identifier: Apache-2.0
// Connections to the server of one index, and what one does on them.
#pragma once

#include <artcache/backends.hpp>
#include <functional>

#include "backends/postgres/head.hpp"
#include "sql/pool.hpp"
#include "sql/postgres/connection.hpp"

namespace artcache::postgres {

/// A connection in use.
struct Link {
  sql::Lease lease;

  [[nodiscard]] sql::PostgresConnection& operator*() const {
    return static_cast<sql::PostgresConnection&>(*lease);
  }
  [[nodiscard]] sql::PostgresConnection* operator->() const { return &**this; }
};

class Links {
 public:
  Links(sql::PostgresOptions options, std::size_t connections_most, const Deps& deps);

  /// One that the server has not closed meanwhile. Errors: as Pool::acquire().
  Result<Link> acquire(const Call& call);
  /// One outside of the pool, for long work.
  [[nodiscard]] Result<std::unique_ptr<sql::PostgresConnection>> open(const Call& call) const;

  /// Runs `work` in a transaction, and COMMIT with the statements that it returns. Once more where
  /// others were in the way (a serialization failure, a deadlock, a key taken in between) or the
  /// connection turned out to be dead, as long as nothing can have been applied.
  using Work = std::function<Result<std::vector<sql::Statement*>>(sql::PostgresConnection&)>;
  using Read = std::function<Result<void>()>;
  /// `after` reads what those statements returned.
  Result<void> write(const Work& work, const Read& after, const Call& call);

 private:
  Result<void> write_once(const Work& work, const Read& after, const Call& call, bool* again);

  const sql::PostgresOptions options_;
  const Clock* const clock_;
  sql::Pool pool_;
};

/// Fails when a holder that a fence was minted for has been replaced, and keeps it from being
/// replaced until the transaction ends. 0 is no holder. Errors: lease_lost.
Result<void> check_fence(sql::PostgresConnection& connection, const Names& names,
                         std::uint64_t fence);
Error lease_lost(std::uint64_t fence);

}  // namespace artcache::postgres
