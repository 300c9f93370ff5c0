// SPDX-License-Identifier: Apache-2.0
// Any bytes as an address: refused, or shown in a form that is clean, holds no password, and is
// read again as the same address but for its secrets.
#include <artcache/url.hpp>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using artcache::Url;

void require(bool good) {
  if (!good) std::abort();
}

/// Equal, or three stars in the place of what is not shown.
bool same_value(std::string_view given, std::string_view shown) {
  return given == shown || shown.find("***") != std::string_view::npos;
}

void check_parameters(const Url& url, const Url& again) {
  require(again.parameters().size() == url.parameters().size());
  for (std::size_t i = 0; i < url.parameters().size(); ++i) {
    const auto& given = url.parameters()[i];
    const auto& shown = again.parameters()[i];
    require(given.name == shown.name && same_value(given.value, shown.value));
    require(url.parameter(given.name) == given.value);
    // What they answer is not at issue here, only that they do.
    (void)url.integer(given.name, 0, -100, 100);
    (void)url.flag(given.name, std::nullopt);
    (void)url.duration(given.name, std::chrono::milliseconds(0));
  }
  (void)url.expect_only({"prefix", "region", "endpoint"});
}

void check(std::string_view text) {
  const auto url = Url::parse(text);
  if (!url) {
    require(url.error().code == artcache::Errc::invalid_argument);
    require(url.error().message.starts_with("url: "));
    return;
  }
  require(url->reveal() == text);
  const std::string shown = url->redacted();
  for (const char c : shown) require(c > ' ' && c < '\x7f');
  const auto again = Url::parse(shown);
  require(again.has_value() && again->redacted() == shown);
  require(again->scheme() == url->scheme() && again->user() == url->user());
  require(again->hosts() == url->hosts() && again->path() == url->path());
  require(again->password() == (url->password().empty() ? "" : "***"));
  check_parameters(*url, *again);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  check({reinterpret_cast<const char*>(data), size});
  return 0;
}
