// SPDX-License-Identifier: Apache-2.0
// From an address to a connection.
#include <poll.h>

#include <algorithm>
#include <array>
#include <thread>

#include "sql/postgres/error.hpp"
#include "sql/postgres/handle.hpp"
#include "util/random.hpp"
#include "util/try.hpp"

namespace artcache::sql {
namespace {

constexpr int kOldestServer = 130000;
constexpr std::chrono::milliseconds kFirstPause{25}, kLongestPause{1000};

/// What libpq may be told in an address beside host, port, user, password and database.
constexpr std::array<std::string_view, 15> kPassedOn{"application_name",
                                                     "connect_timeout",
                                                     "gssencmode",
                                                     "keepalives",
                                                     "keepalives_count",
                                                     "keepalives_idle",
                                                     "keepalives_interval",
                                                     "krbsrvname",
                                                     "passfile",
                                                     "sslcert",
                                                     "sslkey",
                                                     "sslmode",
                                                     "sslrootcert",
                                                     "target_session_attrs",
                                                     "tcp_user_timeout"};

// A server that lost its client ends its statement; what is acknowledged is durable whatever the
// database's default; texts and moments come in one form; a short query never waits for a compiler;
// a single statement sees what was committed while it waited for a table.
constexpr const char* kSessionText =
    "SELECT set_config('client_connection_check_interval', '1000', false) "
    "WHERE current_setting('server_version_num')::int >= 140000;"
    "SELECT set_config('synchronous_commit', 'on', false) "
    "WHERE current_setting('synchronous_commit') = 'off';"
    "SET client_encoding = 'UTF8'; SET TimeZone = 'UTC'; SET jit = off;"
    "SET client_min_messages = warning; SET standard_conforming_strings = on;"
    "SET default_transaction_isolation = 'read committed'";

void ignore_notice(void* /*unused*/, const PGresult* /*unused*/) {}

Result<PgHandle> start(const PostgresOptions& options) {
  std::vector<const char*> names, values;
  for (const auto& [name, value] : options.parameters) {
    names.push_back(name.c_str());
    values.push_back(value.c_str());
  }
  names.push_back(nullptr);
  values.push_back(nullptr);
  PgHandle handle(PQconnectStartParams(names.data(), values.data(), 0));
  if (handle == nullptr) return Error{Errc::internal, "postgresql: no memory for a connection"};
  (void)PQsetErrorVerbosity(handle.get(), PQERRORS_VERBOSE);  // it names the SQLSTATE
  PQsetNoticeReceiver(handle.get(), ignore_notice, nullptr);
  return handle;
}

Result<PgHandle> connect(const PostgresOptions& options, const Call& call) {
  ARTCACHE_TRY(PgHandle handle, start(options));
  const std::string doing = "postgresql: connect to " + options.describe;
  PostgresPollingStatusType state = PGRES_POLLING_WRITING;
  while (PQstatus(handle.get()) != CONNECTION_BAD && state != PGRES_POLLING_OK &&
         state != PGRES_POLLING_FAILED) {
    const auto events = static_cast<short>(state == PGRES_POLLING_READING ? POLLIN : POLLOUT);
    ARTCACHE_TRY(const bool ready,
                 wait_for_socket(PQsocket(handle.get()), events, &call, *options.clock, doing));
    if (ready) state = PQconnectPoll(handle.get());
  }
  if (PQstatus(handle.get()) != CONNECTION_OK)
    return connect_error(options.describe, PQerrorMessage(handle.get()));
  (void)PQsetnonblocking(handle.get(), 1);
  (void)PQsetErrorVerbosity(handle.get(), PQERRORS_DEFAULT);
  if (PQserverVersion(handle.get()) < kOldestServer)
    return Error{Errc::unsupported, doing + ": PostgreSQL 13 or newer is needed"};
  const char* encoding = PQparameterStatus(handle.get(), "server_encoding");
  if (encoding != nullptr && std::string_view(encoding) != "UTF8")
    return Error{Errc::unsupported,
                 doing + ": the database is encoded in " + encoding + ", but UTF8 is needed"};
  return handle;
}

/// Up to twice the pause, so that those who lost one server do not all come back at once.
void pause_for(std::chrono::milliseconds pause, const Call& call, const Clock& clock) {
  std::array<std::uint8_t, 2> random{};
  util::fill_random(random);
  const auto jitter = pause * (random[0] << 8 | random[1]) / 65536;
  const auto until = clock.steady() + pause + jitter;
  while (clock.steady() < until && call.check("wait", clock))
    std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(kLookEvery, pause));
}

}  // namespace

Result<PostgresOptions> postgres_options(const Url& url,
                                         std::initializer_list<std::string_view> own) {
  PostgresOptions options;
  options.describe = url.redacted();
  const auto set = [&](std::string name, std::string value) {
    if (!value.empty()) options.parameters.emplace_back(std::move(name), std::move(value));
  };
  std::string hosts, ports;
  for (const Url::Host& host : url.hosts()) {
    if (!hosts.empty()) hosts.push_back(','), ports.push_back(',');
    hosts.append(host.name);
    if (host.port != 0) ports.append(std::to_string(host.port));
  }
  if (url.path().size() < 2 || url.path().find('/', 1) != std::string::npos)
    return Error{Errc::invalid_argument,
                 "postgresql: the address needs a database, such as "
                 "postgresql://artstore@db.example/artstore"};
  set("host", hosts);
  if (ports.find_first_not_of(',') != std::string::npos) set("port", ports);
  set("user", url.user());
  set("password", url.password());
  set("dbname", url.path().substr(1));
  set("fallback_application_name", "artcache");
  for (const Url::Parameter& parameter : url.parameters()) {
    if (std::ranges::find(own, parameter.name) != own.end()) continue;
    if (std::ranges::find(kPassedOn, parameter.name) == kPassedOn.end())
      return Error{Errc::invalid_argument,
                   "postgresql: unknown parameter '" + parameter.name + "' in the address"};
    set(parameter.name, parameter.value);
  }
  return options;
}

Result<std::unique_ptr<PostgresConnection>> open_postgres(const PostgresOptions& options,
                                                          const Call& call) {
  const auto until = options.clock->steady() + options.retry_for;
  auto handle = connect(options, call);
  for (auto pause = kFirstPause;
       !handle && handle.error().code == Errc::unavailable && options.clock->steady() < until;
       pause = std::min(2 * pause, kLongestPause)) {
    pause_for(pause, call, *options.clock);
    handle = connect(options, call);
  }
  if (!handle) return std::move(handle).error();
  auto connection = std::make_unique<PgConnection>(std::move(*handle), options);
  connection->set_call(&call);
  auto done = connection->execute(kSessionText);
  connection->set_call(nullptr);
  if (!done) return std::move(done).error().in("connect");
  return std::unique_ptr<PostgresConnection>(std::move(connection));
}

}  // namespace artcache::sql
