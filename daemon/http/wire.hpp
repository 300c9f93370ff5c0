// SPDX-License-Identifier: Apache-2.0
// The bytes of a connection, in the clear or through TLS.
#pragma once

#include <array>
#include <artcache/result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <span>
#include <string>
#include <tuple>
#include <utility>

#include "http/server.hpp"
#include "util/mutex.hpp"

namespace artcache::http {

namespace asio = boost::asio;
using Socket = asio::ip::tcp::socket;

/// Used by the thread of its loop alone.
class Wire {
 public:
  using Transfer = std::tuple<boost::system::error_code, std::size_t>;
  using Pieces = std::array<asio::const_buffer, 3>;

  virtual ~Wire() = default;
  /// Before the first byte; false when there is nothing to talk to.
  virtual asio::awaitable<bool> open() = 0;
  virtual asio::awaitable<Transfer> read_some(asio::mutable_buffer into) = 0;
  /// All of it, or an error.
  virtual asio::awaitable<Transfer> write(Pieces pieces) = 0;
  virtual Socket& socket() = 0;
  /// Whether what the socket receives is what the wire reads.
  [[nodiscard]] virtual bool is_plain() const = 0;
};

/// A certificate with its key; null for plain HTTP. Connections keep the one that they began with.
class TlsContext;

/// What a listener has of it. Safe to use from any thread.
class Tls {
 public:
  explicit Tls(TlsFiles files) : files_(std::move(files)) {}
  /// Opens the files, anew where they were before. Errors: invalid_argument: the files, the
  /// certificate, or a key that does not fit; then what there was stays.
  Result<void> load();
  [[nodiscard]] std::shared_ptr<TlsContext> now() const;

 private:
  const TlsFiles files_;
  mutable util::Mutex mutex_;
  std::shared_ptr<TlsContext> context_ ARTCACHE_GUARDED_BY(mutex_);
};

/// Through TLS where there is a context.
std::unique_ptr<Wire> make_wire(Socket socket, const std::shared_ptr<TlsContext>& tls);

}  // namespace artcache::http
