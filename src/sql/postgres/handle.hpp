// SPDX-License-Identifier: Apache-2.0
// libpq's handles, and the parts of a connection that its source files share.
#pragma once

#include <libpq-fe.h>

#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "sql/postgres/connection.hpp"

namespace artcache::sql {

struct ClosePg {
  void operator()(PGconn* connection) const { PQfinish(connection); }
  void operator()(PGresult* result) const { PQclear(result); }
};
using PgHandle = std::unique_ptr<PGconn, ClosePg>;
using PgResult = std::unique_ptr<PGresult, ClosePg>;

/// Waits for a socket, and tells when the call is over: with a stop token or a clock moved by hand
/// at most this late.
inline constexpr std::chrono::milliseconds kLookEvery{20};

/// Waits for `events` (POLLIN, POLLOUT) or one slice; true when there is something to do.
/// Errors: timed_out, cancelled. Without a call the limit counts alone.
Result<bool> wait_for_socket(int fd, short events, const Call* call, const Clock& clock,
                             std::string_view doing);

class PgConnection;

/// Its rows are held as a whole: large results are read through a cursor.
class PgStatement final : public Statement {
 public:
  PgStatement(PgConnection& connection, std::string sql, std::string name)
      : connection_(connection), sql_(std::move(sql)), name_(std::move(name)) {}

  Statement& bind(int parameter, std::int64_t number) override;
  Statement& bind(int parameter, double number) override;
  Statement& bind(int parameter, std::string_view text) override;
  Statement& bind(int parameter, Bytes bytes) override;
  Statement& bind_null(int parameter) override;
  Result<bool> step() override;
  Result<std::int64_t> run() override;
  void reset() override;
  [[nodiscard]] bool is_null(int column) const override;
  [[nodiscard]] std::int64_t integer(int column) const override;
  [[nodiscard]] double real(int column) const override;
  [[nodiscard]] std::string_view text(int column) const override;
  [[nodiscard]] Bytes blob(int column) const override;

 private:
  friend class PgConnection;
  enum class Format : std::uint8_t { null, text, binary };
  struct Parameter {
    Format format = Format::null;
    std::string value;
  };
  Parameter& at(int parameter);
  Result<void> execute();

  PgConnection& connection_;
  const std::string sql_, name_;
  bool prepared_ = false;
  std::vector<Parameter> parameters_;
  PgResult result_;
  int row_ = -1;
};

class PgConnection final : public PostgresConnection {
 public:
  PgConnection(PgHandle handle, const PostgresOptions& options);
  ~PgConnection() override = default;

  void set_call(const Call* call) override { call_ = call; }
  Result<Statement*> prepare(std::string_view sql) override;
  Result<void> execute(std::string_view sql) override;
  Result<bool> has_table(std::string_view name) override;
  Result<void> begin(TransactionKind kind) override;
  Result<void> commit() override { return commit_with({}); }
  void rollback() override;
  [[nodiscard]] bool in_transaction() const override { return state_ != State::idle; }
  [[nodiscard]] bool healthy() const override;

  Result<void> run_all(std::span<Statement* const> statements) override;
  Result<void> commit_with(std::span<Statement* const> statements) override;
  Result<void> copy_begin(std::string_view sql) override;
  Result<void> copy_data(std::string_view bytes) override;
  Result<std::int64_t> copy_end() override;
  Result<bool> wait_notified(std::chrono::nanoseconds pause) override;
  [[nodiscard]] std::string_view last_state() const override { return last_state_; }

 private:
  friend class PgStatement;
  enum class State : std::uint8_t {
    idle,
    announced,  ///< BEGIN goes with the first statement, which saves a round trip
    open,
    failed,  ///< the server undid it; only the rollback is missing
  };
  /// A text sent beside the prepared ones: BEGIN, COMMIT.
  struct Sent {
    PgStatement* statement = nullptr;  ///< nothing: a plain text
    enum class What : std::uint8_t { plain, begin, prepare, rows, commit } what = What::plain;
  };

  [[nodiscard]] std::vector<std::string> begin_texts();
  Result<void> run_batch(std::span<Statement* const> statements, bool commit);
  Result<void> send_batch(std::span<Statement* const> statements, bool commit,
                          std::vector<Sent>& sent);
  Result<void> receive_batch(const std::vector<Sent>& sent, bool* committed);
  Result<PgResult> next_result(std::string_view doing);
  Result<void> flush(std::string_view doing);
  Result<void> drain(std::string_view doing);
  Result<void> simple(const std::string& sql, std::string_view doing);
  Error broken(std::string_view doing);
  Error failed(const PGresult* result, std::string_view doing);
  Error closed(Error error);

  PgHandle handle_;
  const std::string address_;
  const Clock* const clock_;
  const Call* call_ = nullptr;
  State state_ = State::idle;
  TransactionKind kind_ = TransactionKind::read;
  std::unordered_map<std::string, std::unique_ptr<PgStatement>> statements_;
  std::uint64_t names_ = 0;
  bool forget_all_ = false;  // DEALLOCATE ALL is due
  std::string last_state_;
};

}  // namespace artcache::sql
