// SPDX-License-Identifier: Apache-2.0
#include "http/wire.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <utility>

namespace artcache::http {

class TlsContext {
 public:
  asio::ssl::context context{asio::ssl::context::tls_server};
};

namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

class PlainWire final : public Wire {
 public:
  explicit PlainWire(Socket socket) : socket_(std::move(socket)) {}
  asio::awaitable<bool> open() override { co_return true; }
  asio::awaitable<Transfer> read_some(asio::mutable_buffer into) override {
    return socket_.async_read_some(into, kAwait);
  }
  asio::awaitable<Transfer> write(Pieces pieces) override {
    return asio::async_write(socket_, pieces, kAwait);
  }
  Socket& socket() override { return socket_; }
  [[nodiscard]] bool is_plain() const override { return true; }

 private:
  Socket socket_;
};

class TlsWire final : public Wire {
 public:
  TlsWire(Socket socket, std::shared_ptr<TlsContext> tls)
      : tls_(std::move(tls)), stream_(std::move(socket), tls_->context) {}
  asio::awaitable<bool> open() override {
    const auto [error] = co_await stream_.async_handshake(asio::ssl::stream_base::server, kAwait);
    co_return !error;
  }
  asio::awaitable<Transfer> read_some(asio::mutable_buffer into) override {
    return stream_.async_read_some(into, kAwait);
  }
  asio::awaitable<Transfer> write(Pieces pieces) override {
    return asio::async_write(stream_, pieces, kAwait);
  }
  Socket& socket() override { return stream_.next_layer(); }
  [[nodiscard]] bool is_plain() const override { return false; }

 private:
  std::shared_ptr<TlsContext> tls_;  // before the stream, which uses it to its end
  asio::ssl::stream<Socket> stream_;
};

Result<std::shared_ptr<TlsContext>> open_tls(const TlsFiles& files) {
  if (files.certificate.empty() && files.key.empty()) return std::shared_ptr<TlsContext>();
  auto tls = std::make_shared<TlsContext>();
  boost::system::error_code error;
  const auto refused = [&error](const std::string& what) {
    return Error{Errc::invalid_argument, "tls: '" + what + "': " + error.message()};
  };
  using Context = asio::ssl::context;
  tls->context.set_options(Context::default_workarounds | Context::no_tlsv1 | Context::no_tlsv1_1,
                           error);
  if (error) return refused("options");
  tls->context.use_certificate_chain_file(files.certificate, error);
  if (error) return refused(files.certificate);
  tls->context.use_private_key_file(files.key, Context::pem, error);
  if (error) return refused(files.key);
  return tls;
}

}  // namespace

Result<void> Tls::load() {
  auto opened = open_tls(files_);
  if (!opened) return std::move(opened).error();
  const util::MutexLock held(mutex_);
  context_ = *std::move(opened);
  return {};
}

std::shared_ptr<TlsContext> Tls::now() const {
  const util::MutexLock held(mutex_);
  return context_;
}

std::unique_ptr<Wire> make_wire(Socket socket, const std::shared_ptr<TlsContext>& tls) {
  if (!tls) return std::make_unique<PlainWire>(std::move(socket));
  return std::make_unique<TlsWire>(std::move(socket), tls);
}

}  // namespace artcache::http
