// SPDX-License-Identifier: Apache-2.0
// The address of a bucket and the credentials it names.
#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>

#include "backends/s3/place.hpp"
#include "util/try.hpp"

namespace artcache::s3 {
namespace {

constexpr std::streamoff kFileMost = 1 << 20;

Error wrong(std::string cause) {
  return Error{Errc::invalid_argument, "s3: address: " + std::move(cause)};
}

std::string trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(" \t\r") - first + 1));
}

Result<std::string> read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(static_cast<std::size_t>(kFileMost), '\0');
  if (!file.read(text.data(), kFileMost) && !file.eof())
    return wrong("the credentials file '" + path + "' cannot be read");
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

Result<Credentials> credentials_of(const Url& url) {
  const auto path = url.parameter("credentials");
  if (!url.user().empty()) {
    if (path) return wrong("has keys and a credentials file; give one of them");
    if (url.password().empty()) return wrong("has an access key without its secret key");
    return Credentials{url.user(), url.password(), url.parameter("session_token").value_or("")};
  }
  if (url.parameter("session_token")) return wrong("has a session_token without keys");
  if (!path) return Credentials{};
  ARTCACHE_TRY(const std::string text, read_text(*path));
  return parse_credentials(text, url.parameter("profile").value_or("default"));
}

Result<void> place_target(const Url& url, Target& target) {
  const std::string style =
      url.parameter("style").value_or(url.parameter("endpoint") ? "path" : "virtual");
  if (style != "path" && style != "virtual") return wrong("style is neither path nor virtual");
  const std::string endpoint =
      url.parameter("endpoint").value_or("https://s3." + target.region + ".amazonaws.com");
  auto parsed = Url::parse(endpoint);
  if (!parsed || (parsed->scheme() != "http" && parsed->scheme() != "https") ||
      parsed->hosts().size() != 1 || parsed->hosts()[0].name.empty() || !parsed->user().empty() ||
      !parsed->parameters().empty() || (parsed->path() != "" && parsed->path() != "/"))
    return wrong("endpoint is not of the form https://host:port");
  const Url::Host& host = parsed->hosts()[0];
  target.host = host.name.find(':') == std::string::npos ? host.name : "[" + host.name + "]";
  if (style == "virtual") target.host = target.bucket + "." + target.host;
  const bool usual = host.port == 0 || host.port == (parsed->scheme() == "http" ? 80 : 443);
  if (!usual) target.host += ":" + std::to_string(host.port);
  target.origin = parsed->scheme() + "://" + target.host;
  target.base_path = style == "path" ? "/" + encode(target.bucket, Slash::encoded) : "";
  return {};
}

}  // namespace

Result<Credentials> parse_credentials(std::string_view text, std::string_view profile) {
  std::map<std::string, std::string> values;
  bool inside = false, found = false;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    line = trimmed(line);
    if (line.empty() || line[0] == '#' || line[0] == ';') continue;
    if (line[0] == '[') {
      inside = line.back() == ']' && trimmed(line.substr(1, line.size() - 2)) == profile;
      found = found || inside;
      continue;
    }
    const std::size_t equal = line.find('=');
    if (inside && equal != std::string::npos)
      values[trimmed(line.substr(0, equal))] = trimmed(line.substr(equal + 1));
  }
  if (!found) return wrong("the credentials file has no profile '" + std::string(profile) + "'");
  for (const char* name : {"aws_access_key_id", "aws_secret_access_key"})
    if (values[name].empty()) return wrong("profile '" + std::string(profile) + "' has no " + name);
  return Credentials{values["aws_access_key_id"], values["aws_secret_access_key"],
                     values["aws_session_token"]};
}

Result<Options> parse_address(const Url& url) {
  ARTCACHE_CHECK(
      url.expect_only({"endpoint", "region", "style", "credentials", "profile", "session_token",
                       "ca", "conditional", "concurrency", "part_size", "retries", "stall"}));
  if (url.hosts().size() != 1 || url.hosts()[0].name.empty() || url.hosts()[0].port != 0)
    return wrong("must name one bucket: s3://bucket/prefix");
  Options options;
  Target& target = options.target;
  target.bucket = url.hosts()[0].name;
  target.region = url.parameter("region").value_or("us-east-1");
  target.ca = url.parameter("ca").value_or("");
  ARTCACHE_CHECK(place_target(url, target));
  ARTCACHE_TRY(target.credentials, credentials_of(url));
  ARTCACHE_TRY(const auto concurrency, url.integer("concurrency", 32, 1, 256));
  target.concurrency = static_cast<std::size_t>(concurrency);
  ARTCACHE_TRY(const auto retries, url.integer("retries", 3, 0, 20));
  target.attempts_most = static_cast<int>(retries) + 1;
  ARTCACHE_TRY(target.stall, url.duration("stall", target.stall));
  if (target.stall < std::chrono::seconds(1)) return wrong("stall is shorter than a second");
  ARTCACHE_TRY(const auto part, url.integer("part_size", 8 << 20, 5 << 20, 1 << 30));
  options.part_size = static_cast<std::size_t>(part);
  if (url.parameter("conditional").value_or("auto") != "auto") {
    ARTCACHE_TRY(const bool on, url.flag("conditional", std::nullopt));
    options.conditional = on ? Conditional::on : Conditional::off;
  }
  std::string_view prefix = url.path();
  while (prefix.starts_with('/')) prefix.remove_prefix(1);
  while (prefix.ends_with('/')) prefix.remove_suffix(1);
  if (!prefix.empty()) {
    ARTCACHE_CHECK(check_storage_path(prefix));
    options.prefix = std::string(prefix) + "/";
  }
  // Without keys, also those that are no secret.
  options.description = "s3://" + target.bucket + url.path() + "?endpoint=" + target.origin;
  return options;
}

}  // namespace artcache::s3
