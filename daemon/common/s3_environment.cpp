// SPDX-License-Identifier: Apache-2.0
#include "common/s3_environment.hpp"

#include <cstdlib>
#include <filesystem>

#include "common/percent.hpp"

namespace artcache {
namespace {

/// An address that grows parameters.
class Address {
 public:
  explicit Address(const Url& url) : url_(url), text_(url.reveal()) {}

  /// Unless the address has it already.
  void add(std::string_view name, const std::optional<std::string>& value) {
    if (!value || url_.parameter(name)) return;
    text_.push_back(text_.find('?') == std::string::npos ? '?' : '&');
    text_.append(name).append("=").append(percent_encoded(*value));
  }
  void add_keys(const std::string& access, const std::string& secret) {
    const std::size_t host = text_.find("//");
    if (host != std::string::npos)
      text_.insert(host + 2, percent_encoded(access) + ":" + percent_encoded(secret) + "@");
  }
  [[nodiscard]] Result<Url> parse() const { return Url::parse(text_); }

 private:
  const Url& url_;
  std::string text_;
};

std::optional<std::string> first_of(const Environment& variable, const char* one,
                                    const char* other) {
  auto value = variable(one);
  return value ? value : variable(other);
}

/// The file that was named, or the one at its usual place when it is there.
std::optional<std::string> credentials_file(const Environment& variable) {
  if (auto named = variable("AWS_SHARED_CREDENTIALS_FILE")) return named;
  const auto home = variable("HOME");
  if (!home) return std::nullopt;
  const std::filesystem::path usual = std::filesystem::path(*home) / ".aws" / "credentials";
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(usual, ignored)) return std::nullopt;
  return usual.string();
}

}  // namespace

Environment process_environment() {
  return [](const char* name) -> std::optional<std::string> {
    const char* const value = std::getenv(name);
    if (value == nullptr || *value == '\0') return std::nullopt;
    return value;
  };
}

Result<Url> with_s3_environment(const Url& url, const Environment& variable) {
  if (url.scheme() != "s3") return url;
  Address address(url);
  address.add("endpoint", first_of(variable, "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"));
  address.add("region", first_of(variable, "AWS_REGION", "AWS_DEFAULT_REGION"));
  if (!url.user().empty() || url.parameter("credentials")) return address.parse();
  const auto access = variable("AWS_ACCESS_KEY_ID"), secret = variable("AWS_SECRET_ACCESS_KEY");
  if (access.has_value() != secret.has_value())
    return Error{Errc::invalid_argument,
                 std::string("s3: ") + (access ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY") +
                     " is set without " + (access ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID")};
  if (access) {
    address.add_keys(*access, *secret);
    address.add("session_token", variable("AWS_SESSION_TOKEN"));
  } else if (const auto file = credentials_file(variable)) {
    address.add("credentials", file);
    address.add("profile", variable("AWS_PROFILE"));
  }
  return address.parse();
}

}  // namespace artcache
