// SPDX-License-Identifier: Apache-2.0
#include "redis/socket.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <system_error>
#include <utility>

#include "util/try.hpp"

namespace artcache::redis {
namespace {

/// A stop token wakes nobody up: it is looked at so often.
constexpr std::chrono::milliseconds kLook{50};
constexpr std::chrono::milliseconds kLookWithoutStop{1000};

Error away(std::string cause) { return Error{Errc::unavailable, "redis: " + std::move(cause)}; }

std::string cause_of(int error) { return std::generic_category().message(error); }

/// The reasons that OpenSSL has noted, the last one.
std::string tls_cause() {
  unsigned long last = 0;
  for (unsigned long code = ERR_get_error(); code != 0; code = ERR_get_error()) last = code;
  if (last == 0) return "no reason given";
  const char* reason = ERR_reason_error_string(last);
  return reason == nullptr ? "error " + std::to_string(last) : reason;
}

struct FreeAddresses {
  void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

Result<Addresses> look_up(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const int error = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
  if (error != 0) return away("'" + host + "': " + ::gai_strerror(error));
  return Addresses(list);
}

Result<util::Fd> connect_to(const addrinfo& address, const Patience& patience) {
  util::Fd fd(::socket(address.ai_family, address.ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return away("no socket: " + cause_of(errno));
  const int on = 1;
  (void)::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  if (::connect(fd.get(), address.ai_addr, address.ai_addrlen) == 0) return fd;
  if (errno != EINPROGRESS && errno != EINTR) return away(cause_of(errno));
  ARTCACHE_CHECK(patience.wait(fd.get(), POLLOUT));
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error != 0) return away(cause_of(error));
  return fd;
}

bool is_ip(const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  return ::inet_pton(AF_INET, host.c_str(), bytes.data()) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1;
}

Error bad_file(const char* what, const std::string& file) {
  return Error{Errc::invalid_argument,
               "redis: " + std::string(what) + " '" + file + "': " + tls_cause()};
}

}  // namespace

void Tls::Free::operator()(SSL_CTX* context) const { SSL_CTX_free(context); }

Result<std::shared_ptr<const Tls>> Tls::make(const Options& options) {
  ERR_clear_error();
  auto tls = std::make_shared<Tls>();
  tls->options_ = options;
  tls->context_.reset(SSL_CTX_new(TLS_client_method()));
  SSL_CTX* const context = tls->context_.get();
  if (context == nullptr) return away("TLS: " + tls_cause());
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  if (options.verify == Verify::certificate_and_name) {
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    if (options.ca_file.empty())
      SSL_CTX_set_default_verify_paths(context);
    else if (SSL_CTX_load_verify_locations(context, options.ca_file.c_str(), nullptr) != 1)
      return bad_file("ca_file", options.ca_file);
  }
  if (options.cert_file.empty() != options.key_file.empty())
    return Error{Errc::invalid_argument, "redis: cert_file and key_file belong together"};
  if (options.cert_file.empty()) return std::shared_ptr<const Tls>(std::move(tls));
  if (SSL_CTX_use_certificate_chain_file(context, options.cert_file.c_str()) != 1)
    return bad_file("cert_file", options.cert_file);
  if (SSL_CTX_use_PrivateKey_file(context, options.key_file.c_str(), SSL_FILETYPE_PEM) != 1)
    return bad_file("key_file", options.key_file);
  return std::shared_ptr<const Tls>(std::move(tls));
}

Patience::Patience(const Call& call, const Clock& clock, std::chrono::milliseconds most)
    : call_(&call), clock_(&clock), end_(clock.steady() + most) {}

Result<void> Patience::wait(int fd, short events) const {
  ARTCACHE_TRY(const bool there, ready(fd, events));
  if (!there) return away("no answer in time");
  return {};
}

Result<bool> Patience::ready(int fd, short events) const {
  while (true) {
    ARTCACHE_CHECK(call_->check("redis", *clock_));
    const auto now = clock_->steady();
    if (now >= end_) return false;
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(std::min<Clock::SteadyTime::duration>(
            std::min(end_, call_->deadline) - now, std::chrono::hours(1)));
    const auto pause = std::min(left, call_->stop.stop_possible() ? kLook : kLookWithoutStop);
    pollfd one{fd, events, 0};
    const int count = ::poll(&one, 1, static_cast<int>(pause.count()));
    if (count > 0) return true;
    if (count < 0 && errno != EINTR) return away("poll: " + cause_of(errno));
  }
}

void Socket::FreeSsl::operator()(SSL* ssl) const { SSL_free(ssl); }

Socket::Socket(util::Fd fd, std::shared_ptr<const Tls> tls)
    : fd_(std::move(fd)), tls_(std::move(tls)) {}
Socket::Socket(Socket&&) noexcept = default;
Socket& Socket::operator=(Socket&&) noexcept = default;
Socket::~Socket() = default;

Result<Socket> Socket::connect(const std::string& host, std::uint16_t port,
                               std::shared_ptr<const Tls> tls, const Patience& patience) {
  ARTCACHE_TRY(const Addresses addresses, look_up(host, port));
  const std::string where = host + ":" + std::to_string(port);
  Error last = away("'" + host + "' has no address");
  for (const addrinfo* one = addresses.get(); one != nullptr; one = one->ai_next) {
    auto fd = connect_to(*one, patience);
    if (!fd) {
      last = std::move(fd).error().in(where);
      if (last.code != Errc::unavailable) return last;
      continue;
    }
    Socket socket(std::move(*fd), std::move(tls));
    if (socket.tls_)
      if (auto shaken = socket.shake_hands(host, patience); !shaken)
        return std::move(shaken).error().in(where);
    return socket;
  }
  return last;
}

Result<void> Socket::shake_hands(const std::string& host, const Patience& patience) {
  ERR_clear_error();
  ssl_.reset(SSL_new(tls_->context()));
  if (!ssl_) return away("TLS: " + tls_cause());
  SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  const std::string& asked = tls_->options().server_name;
  const std::string& name = asked.empty() ? host : asked;
  if (is_ip(name)) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_.get()), name.c_str());
  } else {
    SSL_set_tlsext_host_name(ssl_.get(), name.c_str());
    SSL_set1_host(ssl_.get(), name.c_str());
  }
  while (true) {
    ERR_clear_error();
    const int done = SSL_connect(ssl_.get());
    const int state = SSL_get_error(ssl_.get(), done);
    ARTCACHE_CHECK(flush(patience));
    if (done == 1) return {};
    if (state != SSL_ERROR_WANT_READ) break;
    ARTCACHE_CHECK(fill(patience));
  }
  if (const long verdict = SSL_get_verify_result(ssl_.get()); verdict != X509_V_OK)
    return Error{Errc::invalid_argument, "redis: the server's certificate: " +
                                             std::string(X509_verify_cert_error_string(verdict))};
  return away("TLS: " + tls_cause());
}

/// What OpenSSL has to say to the server.
Result<void> Socket::flush(const Patience& patience) {
  std::array<char, 16 * 1024> buffer;
  while (true) {
    const int size = BIO_read(SSL_get_wbio(ssl_.get()), buffer.data(), buffer.size());
    if (size <= 0) return {};
    ARTCACHE_CHECK(send_raw({buffer.data(), static_cast<std::size_t>(size)}, patience));
  }
}

/// What the server has to say to OpenSSL.
Result<void> Socket::fill(const Patience& patience) {
  std::array<char, 16 * 1024> buffer;
  ARTCACHE_TRY(const std::size_t size, receive_raw(buffer, patience));
  if (BIO_write(SSL_get_rbio(ssl_.get()), buffer.data(), static_cast<int>(size)) !=
      static_cast<int>(size))
    return away("TLS: no memory");
  return {};
}

Result<void> Socket::send_raw(std::string_view bytes, const Patience& patience) {
  while (!bytes.empty()) {
    const auto sent =
        util::retried([&] { return ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL); });
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      ARTCACHE_CHECK(patience.wait(fd_.get(), POLLOUT));
    } else {
      return away("the connection broke: " + cause_of(errno));
    }
  }
  return {};
}

Result<std::size_t> Socket::receive_raw(std::span<char> into, const Patience& patience) {
  while (true) {
    const auto got = util::retried([&] { return ::recv(fd_.get(), into.data(), into.size(), 0); });
    if (got > 0) return static_cast<std::size_t>(got);
    if (got == 0) return away("the server closed the connection");
    if (errno != EAGAIN && errno != EWOULDBLOCK)
      return away("the connection broke: " + cause_of(errno));
    ARTCACHE_CHECK(patience.wait(fd_.get(), POLLIN));
  }
}

Result<void> Socket::send(std::string_view bytes, const Patience& patience) {
  if (!ssl_) return send_raw(bytes, patience);
  while (!bytes.empty()) {
    ERR_clear_error();
    const int size = static_cast<int>(std::min<std::size_t>(bytes.size(), 1 << 20));
    const int sent = SSL_write(ssl_.get(), bytes.data(), size);
    ARTCACHE_CHECK(flush(patience));
    if (sent <= 0) return away("TLS: " + tls_cause());
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return {};
}

Result<std::size_t> Socket::receive(std::span<char> into, const Patience& patience) {
  if (!ssl_) return receive_raw(into, patience);
  while (true) {
    ERR_clear_error();
    const int got = SSL_read(ssl_.get(), into.data(), static_cast<int>(into.size()));
    const int state = SSL_get_error(ssl_.get(), got);
    ARTCACHE_CHECK(flush(patience));
    if (got > 0) return static_cast<std::size_t>(got);
    if (state == SSL_ERROR_ZERO_RETURN) return away("the server closed the connection");
    if (state != SSL_ERROR_WANT_READ) return away("TLS: " + tls_cause());
    ARTCACHE_CHECK(fill(patience));
  }
}

/// What came off the socket together with what was asked for, and nobody has taken yet.
bool Socket::holds_more() const {
  return ssl_ && (SSL_pending(ssl_.get()) > 0 || BIO_pending(SSL_get_rbio(ssl_.get())) > 0);
}

Result<bool> Socket::wait_readable(const Patience& patience) const {
  if (holds_more()) return true;
  return patience.ready(fd_.get(), POLLIN);
}

bool Socket::is_quiet() const {
  char next = 0;
  const auto got =
      util::retried([&] { return ::recv(fd_.get(), &next, 1, MSG_PEEK | MSG_DONTWAIT); });
  return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) && !holds_more();
}

}  // namespace artcache::redis
