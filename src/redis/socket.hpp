// SPDX-License-Identifier: Apache-2.0
// A connection over TCP, with TLS where that is asked for. Never raises SIGPIPE and never waits
// past a deadline; only looking up a name may, as the resolver of the system does.
#pragma once

#include <openssl/types.h>

#include <artcache/call.hpp>
#include <artcache/clock.hpp>
#include <artcache/result.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "util/fd.hpp"

namespace artcache::redis {

/// Certificates and keys, read once and used by many sockets.
class Tls {
 public:
  enum class Verify : std::uint8_t { certificate_and_name, nothing };
  struct Options {
    std::string ca_file;              ///< empty: the authorities of the system
    std::string cert_file, key_file;  ///< of this client; both or none
    std::string server_name;          ///< empty: the host of the address
    Verify verify = Verify::certificate_and_name;
  };

  /// Errors: invalid_argument naming the file that cannot be used.
  static Result<std::shared_ptr<const Tls>> make(const Options& options);

  [[nodiscard]] const Options& options() const { return options_; }
  [[nodiscard]] SSL_CTX* context() const { return context_.get(); }

 private:
  struct Free {
    void operator()(SSL_CTX* context) const;
  };
  Options options_;
  std::unique_ptr<SSL_CTX, Free> context_;
};

/// How long one step may take: until the deadline of the call, and in any case not longer than
/// `most`, so that a server that hangs is noticed by a call without a deadline.
class Patience {
 public:
  Patience(const Call& call, const Clock& clock, std::chrono::milliseconds most);

  /// Until the descriptor is ready for `events` of poll(), or broken. Errors: timed_out or
  /// cancelled by the call, unavailable after `most`.
  [[nodiscard]] Result<void> wait(int fd, short events) const;
  /// The same, but false after `most`.
  [[nodiscard]] Result<bool> ready(int fd, short events) const;

 private:
  const Call* call_;
  const Clock* clock_;
  Clock::SteadyTime end_;
};

/// For one thread. After an error it is of no more use. Errors of all calls: unavailable, and those
/// of Patience::wait().
class Socket {
 public:
  /// `tls` may be null: then nothing is encrypted.
  static Result<Socket> connect(const std::string& host, std::uint16_t port,
                                std::shared_ptr<const Tls> tls, const Patience& patience);
  Socket(Socket&&) noexcept;
  Socket& operator=(Socket&&) noexcept;
  ~Socket();

  Result<void> send(std::string_view bytes, const Patience& patience);
  /// At least one byte; how many.
  Result<std::size_t> receive(std::span<char> into, const Patience& patience);
  /// Whether there is something to receive, waited for.
  [[nodiscard]] Result<bool> wait_readable(const Patience& patience) const;
  /// Whether it may be used once more: still open, and nothing has come unasked.
  [[nodiscard]] bool is_quiet() const;

 private:
  struct FreeSsl {
    void operator()(SSL* ssl) const;
  };
  Socket(util::Fd fd, std::shared_ptr<const Tls> tls);
  Result<void> shake_hands(const std::string& host, const Patience& patience);
  Result<void> flush(const Patience& patience);
  Result<void> fill(const Patience& patience);
  Result<void> send_raw(std::string_view bytes, const Patience& patience);
  Result<std::size_t> receive_raw(std::span<char> into, const Patience& patience);
  [[nodiscard]] bool holds_more() const;

  util::Fd fd_;
  std::shared_ptr<const Tls> tls_;
  std::unique_ptr<SSL, FreeSsl>
      ssl_;  // over memory: OpenSSL would write to the socket with SIGPIPE
};

}  // namespace artcache::redis
