// SPDX-License-Identifier: Apache-2.0
#include "roles/shared_settings.hpp"

#include "common/percent.hpp"

namespace artcache::shared_settings {

Result<std::optional<Url>> parsed_address(std::string_view name, const std::string& text) {
  auto url = Url::parse(text);
  if (!url) return std::move(url).error().in(name);
  return std::optional<Url>(*std::move(url));
}

std::string login(const std::string& user, const std::string& password) {
  if (user.empty() && password.empty()) return {};
  return percent_encoded(user) + (password.empty() ? "" : ":" + percent_encoded(password)) + "@";
}

Result<std::optional<Url>> database_address(const config::Settings& told, std::string_view whole,
                                            std::string_view query) {
  if (const std::string& said = told.text(whole); !said.empty()) return parsed_address(whole, said);
  if (told.text("db_host").empty()) return std::optional<Url>();
  std::string text = "postgresql://" + login(told.text("db_user"), told.text("db_password")) +
                     told.text("db_host") + ":" + told.text("db_port") + "/" +
                     percent_encoded(told.text("db_name"));
  return parsed_address("db_host", text.append(query));
}

Result<std::optional<Url>> redis_address(const config::Settings& told) {
  if (const std::string& said = told.text("redis"); !said.empty())
    return parsed_address("redis", said);
  if (told.text("redis_host").empty()) return std::optional<Url>();
  return parsed_address("redis_host", "redis://" + login({}, told.text("redis_password")) +
                                          told.text("redis_host") + ":" + told.text("redis_port") +
                                          "/" + told.text("redis_db"));
}

std::string log_address(const std::string& url, const std::string& ca) {
  const bool trusted = !ca.empty() && url.starts_with("https:");
  return trusted ? url + "?ca=" + percent_encoded(ca, "/.-_") : url;
}

}  // namespace artcache::shared_settings
