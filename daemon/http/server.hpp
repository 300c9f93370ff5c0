// SPDX-License-Identifier: Apache-2.0
// Serves any number of sites from one process: connections, limits, workers, graceful stop.
#pragma once

#include <artcache/backends.hpp>
#include <artcache/call.hpp>
#include <artcache/result.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace artcache::http {

class Site;

struct TlsFiles {
  std::string certificate, key;  ///< PEM; empty for plain HTTP
};

struct ServerSettings {
  std::size_t io_threads = 0;     ///< 0: as many as there are cores
  std::size_t workers = 32;       ///< handlers that run at the same time
  std::size_t queue_most = 1024;  ///< requests that wait for one; beyond that 503
  std::size_t lasting_most = 16;  ///< requests of Threads::lasting; beyond that 503
  /// How long stop() lets requests that are under way go on.
  std::chrono::milliseconds grace{30'000};
};

/// HTTP/1.1 with keep-alive and pipelining in order. Every answer carries `X-Request-ID`: the
/// client's own when it is a plain word, else a new one. What cannot be parsed gets 400, too large
/// a header 431, too slow a header 408, and the connection ends. Each request is one line of the
/// access log (logger "access") and counted in http_requests_total, http_request_duration_seconds.
/// A handler that throws costs its request a 500, nothing else.
class Server {
 public:
  Server(ServerSettings settings, const Deps& deps);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Takes the port, 0 for a free one; connections wait until run(). The site must outlive the
  /// server and is not to be changed from now on. Returns the port.
  /// Errors: unavailable (it is taken, or not ours to take), invalid_argument (address, TLS).
  Result<std::uint16_t> listen(Site& site, const std::string& address, std::uint16_t port,
                               const TlsFiles& tls = {});

  /// Reads certificates and keys of the site anew, for connections that begin from now on. From any
  /// thread, after listen(). Errors: invalid_argument; then the ones before stay in force.
  Result<void> reload_tls(const Site& site);

  /// Serves until call.stop is set: then no more connections are taken, requests under way finish
  /// within the grace, and what is left is cut.
  Result<void> run(const Call& call);

  struct Status {
    std::size_t connections = 0, running = 0, queued = 0;
  };
  [[nodiscard]] Status status() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace artcache::http
