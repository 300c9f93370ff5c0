// SPDX-License-Identifier: Apache-2.0
#include "sql/postgres/connection.hpp"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <charconv>

#include "sql/postgres/error.hpp"
#include "sql/postgres/handle.hpp"
#include "util/fd.hpp"
#include "util/try.hpp"

namespace artcache::sql {
namespace {

/// Statements kept prepared; texts with filters in them are many.
constexpr std::size_t kStatementsMost = 200;
/// How long ending a transaction may wait when no call says otherwise.
constexpr std::chrono::seconds kFarewell{2};
/// statement_timeout stands behind the deadline, so that it is never the first to strike.
constexpr std::chrono::milliseconds kBehindDeadline{1000};

}  // namespace

Result<bool> wait_for_socket(int fd, short events, const Call* call, const Clock& clock,
                             std::string_view doing) {
  using std::chrono::milliseconds;
  std::chrono::nanoseconds slice = kLookEvery;
  if (call != nullptr) {
    ARTCACHE_CHECK(call->check(doing, clock));
    slice = std::min(slice, call->remaining(clock));
  }
  const auto wait = std::chrono::ceil<milliseconds>(slice);
  pollfd socket{fd, events, 0};
  const int ready =
      util::retried([&] { return ::poll(&socket, 1, static_cast<int>(wait.count())); });
  return ready > 0;
}

PgConnection::PgConnection(PgHandle handle, const PostgresOptions& options)
    : handle_(std::move(handle)), address_(options.describe), clock_(options.clock) {}

bool PgConnection::healthy() const {
  if (handle_ == nullptr || PQstatus(handle_.get()) != CONNECTION_OK) return false;
  // What a server says unasked is mostly its farewell.
  pollfd socket{PQsocket(handle_.get()), POLLIN, 0};
  if (::poll(&socket, 1, 0) <= 0) return true;
  return PQconsumeInput(handle_.get()) != 0 && PQstatus(handle_.get()) == CONNECTION_OK;
}

Error PgConnection::closed(Error error) {
  handle_.reset();
  if (state_ != State::idle) state_ = State::failed;
  return error;
}

Error PgConnection::broken(std::string_view doing) {
  std::string_view text = handle_ == nullptr ? "" : PQerrorMessage(handle_.get());
  text = text.substr(0, text.find('\n'));
  if (text.empty()) text = "the connection is closed";
  return closed({Errc::unavailable,
                 "postgresql: " + std::string(doing) + ": " + address_ + ": " + std::string(text)});
}

Error PgConnection::failed(const PGresult* result, std::string_view doing) {
  const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const char* text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  if (state == nullptr) return broken(doing);
  last_state_ = state;
  return postgres_error(doing, state, text == nullptr ? "" : text);
}

// --- Moving bytes ---------------------------------------------------------------------------

Result<void> PgConnection::flush(std::string_view doing) {
  while (true) {
    const int left = PQflush(handle_.get());
    if (left == 0) return {};
    if (left < 0) return broken(doing);
    auto ready = wait_for_socket(PQsocket(handle_.get()), POLLIN | POLLOUT, call_, *clock_, doing);
    if (!ready) return closed(std::move(ready).error());
    // Answers are taken off meanwhile, or both sides would wait for each other.
    if (PQconsumeInput(handle_.get()) == 0) return broken(doing);
  }
}

/// The next result, nullptr at the end of those of one statement.
Result<PgResult> PgConnection::next_result(std::string_view doing) {
  const auto began = clock_->steady();
  while (PQisBusy(handle_.get()) != 0) {
    const int left = PQflush(handle_.get());
    if (left < 0) return broken(doing);
    const auto events = static_cast<short>(left > 0 ? POLLIN | POLLOUT : POLLIN);
    auto ready = wait_for_socket(PQsocket(handle_.get()), events, call_, *clock_, doing);
    if (!ready) return closed(std::move(ready).error());
    if (call_ == nullptr && clock_->steady() - began > kFarewell)
      return closed({Errc::timed_out, "postgresql: " + std::string(doing) + ": no answer"});
    if (*ready && PQconsumeInput(handle_.get()) == 0) return broken(doing);
  }
  return PgResult(PQgetResult(handle_.get()));
}

Result<void> PgConnection::drain(std::string_view doing) {
  Result<void> outcome;
  while (true) {
    ARTCACHE_TRY(const PgResult result, next_result(doing));
    if (result == nullptr) return outcome;
    const ExecStatusType status = PQresultStatus(result.get());
    if (outcome && status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
      outcome = failed(result.get(), doing);
    if (handle_ == nullptr) return outcome;
  }
}

Result<void> PgConnection::simple(const std::string& sql, std::string_view doing) {
  if (handle_ == nullptr || PQsendQuery(handle_.get(), sql.c_str()) == 0) return broken(doing);
  ARTCACHE_CHECK(flush(doing));
  return drain(doing);
}

// --- Statements -----------------------------------------------------------------------------

Result<Statement*> PgConnection::prepare(std::string_view sql) {
  auto& statement = statements_[std::string(sql)];
  if (statement == nullptr)
    statement =
        std::make_unique<PgStatement>(*this, std::string(sql), "s" + std::to_string(++names_));
  statement->reset();
  return statement.get();
}

Result<void> PgConnection::execute(std::string_view sql) {
  std::string text;
  const bool beginning = state_ == State::announced;
  if (beginning)
    for (const std::string& begin : begin_texts()) text.append(begin).append(";");
  text.append(sql);
  if (beginning) state_ = State::open;
  auto done = simple(text, "execute");
  if (!done && state_ == State::open) state_ = State::failed;
  return done;
}

Result<bool> PgConnection::has_table(std::string_view name) {
  ARTCACHE_TRY(Statement * s, prepare("SELECT to_regclass($1) IS NOT NULL"));
  s->bind(0, name);
  ARTCACHE_CHECK(s->step());
  const bool there = s->integer(0) != 0;
  s->reset();
  return there;
}

Result<void> PgConnection::run_all(std::span<Statement* const> statements) {
  return run_batch(statements, false);
}

Result<void> PgConnection::run_batch(std::span<Statement* const> statements, bool commit) {
  constexpr std::string_view kDoing = "run";
  if (state_ == State::failed)
    return Error{Errc::unavailable, "postgresql: the transaction was undone after an error"};
  if (handle_ == nullptr || PQenterPipelineMode(handle_.get()) == 0) return broken(kDoing);
  std::vector<Sent> sent;
  bool committed = false;
  auto done = send_batch(statements, commit, sent);
  if (done) done = receive_batch(sent, &committed);
  if (handle_ != nullptr && PQexitPipelineMode(handle_.get()) == 0 && done) done = broken(kDoing);
  if (!done && state_ == State::open) state_ = State::failed;
  if (!done && commit && handle_ == nullptr)
    done = [&] {
      Error error = std::move(done).error();
      error.outcome = Outcome::unknown;  // it may have become durable
      return error;
    }();
  if (done && commit && !committed) {
    state_ = State::failed;
    return Error{Errc::unavailable, "postgresql: commit: the server rolled back"};
  }
  if (done && commit) state_ = State::idle;
  return done;
}

Result<void> PgConnection::send_batch(std::span<Statement* const> statements, bool commit,
                                      std::vector<Sent>& sent) {
  using What = Sent::What;
  PGconn* const pg = handle_.get();
  const auto plain = [&](const char* text, What what) {
    sent.push_back({nullptr, what});
    return PQsendQueryParams(pg, text, 0, nullptr, nullptr, nullptr, nullptr, 0) != 0;
  };
  if (state_ == State::announced) {
    for (const std::string& text : begin_texts())
      if (!plain(text.c_str(), What::begin)) return broken("begin");
    state_ = State::open;
  }
  // Behind the beginning, which must be the first thing that is sent for a transaction.
  if (std::exchange(forget_all_, false) && !plain("DEALLOCATE ALL", What::plain))
    return broken("run");
  for (Statement* const one : statements) {
    auto& s = static_cast<PgStatement&>(*one);
    if (!s.prepared_) {
      sent.push_back({&s, What::prepare});
      if (PQsendPrepare(pg, s.name_.c_str(), s.sql_.c_str(), 0, nullptr) == 0)
        return broken("prepare");
    }
    std::vector<const char*> values;
    std::vector<int> lengths, formats;
    for (const PgStatement::Parameter& p : s.parameters_) {
      values.push_back(p.format == PgStatement::Format::null ? nullptr : p.value.data());
      lengths.push_back(static_cast<int>(p.value.size()));
      formats.push_back(p.format == PgStatement::Format::binary ? 1 : 0);
    }
    sent.push_back({&s, What::rows});
    if (PQsendQueryPrepared(pg, s.name_.c_str(), static_cast<int>(values.size()), values.data(),
                            lengths.data(), formats.data(), 1) == 0)
      return broken("run");
  }
  if (commit && !plain("COMMIT", What::commit)) return broken("commit");
  if (PQpipelineSync(pg) == 0) return broken("run");
  return flush("run");
}

/// Every statement's result, then that of the sync. After an error the rest is skipped.
Result<void> PgConnection::receive_batch(const std::vector<Sent>& sent, bool* committed) {
  using What = Sent::What;
  Result<void> outcome;
  for (const Sent& one : sent) {
    ARTCACHE_TRY(PgResult result, next_result("run"));
    if (result == nullptr) return broken("run");
    switch (PQresultStatus(result.get())) {
      case PGRES_COMMAND_OK:
      case PGRES_TUPLES_OK:
        if (one.what == What::prepare) one.statement->prepared_ = true;
        if (one.what == What::commit)
          *committed = std::string_view(PQcmdStatus(result.get())) == "COMMIT";
        if (one.what == What::rows) {
          one.statement->result_ = std::move(result);
          one.statement->row_ = -1;
        }
        break;
      case PGRES_PIPELINE_ABORTED:
        break;
      default:
        if (outcome) outcome = failed(result.get(), one.what == What::commit ? "commit" : "run");
    }
    if (handle_ == nullptr) return outcome;
    ARTCACHE_TRY(const PgResult end, next_result("run"));
    if (end != nullptr) return broken("run");
  }
  ARTCACHE_TRY(const PgResult sync, next_result("run"));
  if (sync == nullptr || PQresultStatus(sync.get()) != PGRES_PIPELINE_SYNC) return broken("run");
  return outcome;
}

// --- Transactions ---------------------------------------------------------------------------

std::vector<std::string> PgConnection::begin_texts() {
  std::vector<std::string> texts;
  texts.emplace_back(kind_ == TransactionKind::read
                         ? "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
                         : "BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE");
  if (call_ != nullptr && call_->has_deadline()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(call_->remaining(*clock_));
    const auto most =
        std::min<std::chrono::milliseconds>(left + kBehindDeadline, std::chrono::hours(24 * 20));
    texts.push_back("SET LOCAL statement_timeout = " + std::to_string(most.count()));
  }
  return texts;
}

Result<void> PgConnection::begin(TransactionKind kind) {
  assert(state_ == State::idle);
  last_state_.clear();
  if (handle_ == nullptr) return broken("begin");
  if (call_ != nullptr) ARTCACHE_CHECK(call_->check("postgresql: begin", *clock_));
  if (statements_.size() > kStatementsMost) {
    statements_.clear();
    forget_all_ = true;
  }
  for (auto& [sql, statement] : statements_) statement->reset();
  kind_ = kind;
  state_ = State::announced;
  return {};
}

Result<void> PgConnection::commit_with(std::span<Statement* const> statements) {
  if (state_ == State::announced && statements.empty()) {
    state_ = State::idle;  // nothing was done in it
    return {};
  }
  auto done = run_batch(statements, true);
  if (!done) rollback();
  return done;
}

void PgConnection::rollback() {
  for (auto& [sql, statement] : statements_) statement->reset();
  const State state = std::exchange(state_, State::idle);
  if (handle_ == nullptr || state == State::idle || state == State::announced) return;
  // Best effort and soon over: a server that does not answer undoes it when we are gone.
  const Call* const call = std::exchange(call_, nullptr);
  if (!simple("ROLLBACK", "rollback")) handle_.reset();
  call_ = call;
}

// --- COPY and notifications -----------------------------------------------------------------

Result<void> PgConnection::copy_begin(std::string_view sql) {
  if (state_ == State::announced) ARTCACHE_CHECK(run_batch({}, false));
  if (handle_ == nullptr || PQsendQuery(handle_.get(), std::string(sql).c_str()) == 0)
    return broken("copy");
  ARTCACHE_CHECK(flush("copy"));
  ARTCACHE_TRY(const PgResult result, next_result("copy"));
  if (result != nullptr && PQresultStatus(result.get()) == PGRES_COPY_IN) return {};
  if (result == nullptr) return broken("copy");
  Error error = failed(result.get(), "copy");
  if (handle_ != nullptr) (void)drain("copy");
  if (state_ == State::open) state_ = State::failed;
  return error;
}

Result<void> PgConnection::copy_data(std::string_view bytes) {
  // In pieces, since libpq keeps what the socket does not take.
  constexpr std::size_t kPiece = std::size_t{256} * 1024;
  while (!bytes.empty()) {
    if (handle_ == nullptr) return broken("copy");
    const std::string_view piece = bytes.substr(0, kPiece);
    const int queued = PQputCopyData(handle_.get(), piece.data(), static_cast<int>(piece.size()));
    if (queued < 0) return broken("copy");
    if (queued == 1) bytes.remove_prefix(piece.size());
    ARTCACHE_CHECK(flush("copy"));
  }
  return {};
}

Result<std::int64_t> PgConnection::copy_end() {
  if (handle_ == nullptr) return broken("copy");
  int queued = 0;
  while ((queued = PQputCopyEnd(handle_.get(), nullptr)) == 0) ARTCACHE_CHECK(flush("copy"));
  if (queued < 0) return broken("copy");
  ARTCACHE_CHECK(flush("copy"));
  ARTCACHE_TRY(const PgResult result, next_result("copy"));
  if (result == nullptr) return broken("copy");
  if (PQresultStatus(result.get()) != PGRES_COMMAND_OK) {
    Error error = failed(result.get(), "copy");
    if (handle_ != nullptr) (void)drain("copy");
    if (state_ == State::open) state_ = State::failed;
    return error;
  }
  const std::string_view tuples = PQcmdTuples(result.get());
  std::int64_t rows = 0;
  std::from_chars(tuples.data(), tuples.data() + tuples.size(), rows);
  ARTCACHE_CHECK(drain("copy"));
  return rows;
}

Result<bool> PgConnection::wait_notified(std::chrono::nanoseconds pause) {
  const auto until = clock_->steady() + pause;
  bool came = false;
  while (true) {
    if (handle_ == nullptr || PQconsumeInput(handle_.get()) == 0) return broken("listen");
    while (PGnotify* const one = PQnotifies(handle_.get())) {
      PQfreemem(one);
      came = true;
    }
    const auto left = until - clock_->steady();
    if (came || left <= std::chrono::nanoseconds(0)) return came;
    Call slice;
    slice.deadline = until;
    auto ready = wait_for_socket(PQsocket(handle_.get()), POLLIN, &slice, *clock_, "listen");
    if (!ready) return false;
  }
}

}  // namespace artcache::sql
