// SPDX-License-Identifier: Apache-2.0
#include "web/authorities.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "support/temp_dir.hpp"
#include "unit/daemon/serving.hpp"
#include "web/http_client.hpp"

namespace artcache::web {
namespace {

void write(const std::string& path, const std::string& text) {
  std::ofstream(path + ".new", std::ios::binary) << text;
  std::filesystem::rename(path + ".new", path);
}

std::string text_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// A certificate for this machine, which is its own authority.
http::TlsFiles certify(const test::TempDir& dir, const std::string& name) {
  http::TlsFiles out{.certificate = dir / (name + ".pem"), .key = dir / (name + ".key")};
  const std::string command =
      "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=" +
      name + " -addext subjectAltName=IP:127.0.0.1 -days 1 -out " + out.certificate + " -keyout " +
      out.key + " 2>/dev/null";
  REQUIRE(std::system(command.c_str()) == 0);
  return out;
}

TEST_SUITE_BEGIN("web authorities");

TEST_CASE("a file of authorities is whole certificates, and one at least") {
  const test::TempDir dir;
  const std::string good = text_of(certify(dir, "a").certificate);
  const std::string path = dir / "ca.pem";
  const auto refused = [&](const std::string& text) {
    write(path, text);
    const auto read = read_authorities(path);
    REQUIRE_FALSE(read);
    CHECK(read.error().code == Errc::invalid_argument);
    return read.error().message.find(path) != std::string::npos;
  };
  CHECK_FALSE(read_authorities(path));
  CHECK(refused(""));
  CHECK(refused("no certificate\n"));
  CHECK(refused(good.substr(0, good.size() / 2)));
  CHECK(refused(good + good.substr(0, good.size() / 2)));
  write(path, "# whose it is\n" + good + good);
  CHECK(read_authorities(path).value() == "# whose it is\n" + good + good);
}

TEST_CASE("who is trusted is replaced with the file, and stays where that cannot be used") {
  const test::TempDir dir;
  const http::TlsFiles ours = certify(dir, "ours"), others = certify(dir, "others");
  http::Site site("s");
  REQUIRE(site.add({.pattern = "/", .handler = [](http::Request&) { return http::Response{}; }}));
  const http::Serving first(site, {}, {}, ours), second(site, {}, {}, ours),
      other(site, {}, {}, others);
  const std::string ca = dir / "ca.pem";
  HttpClient client({.ca = ca});
  const auto trusts = [&](const http::Serving& serving) {
    return client.send({.url = "https://127.0.0.1:" + std::to_string(serving.port()) + "/"}, {})
        .has_value();
  };
  CHECK_FALSE(trusts(first));
  write(ca, text_of(ours.certificate));
  CHECK(trusts(first));
  CHECK_FALSE(trusts(other));
  write(ca, "half a certif");
  CHECK(trusts(second));
  std::filesystem::remove(ca);
  CHECK(trusts(second));
  write(ca, text_of(others.certificate));
  CHECK(trusts(other));
  // No connection of before is used again.
  CHECK_FALSE(trusts(first));
}

TEST_SUITE_END();

}  // namespace
}  // namespace artcache::web
