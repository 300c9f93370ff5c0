// SPDX-License-Identifier: Apache-2.0
#include <artcache/url.hpp>

#include <algorithm>
#include <array>
#include <charconv>

#include "util/hex.hpp"
#include "util/suggest.hpp"
#include "util/try.hpp"
#include "util/utf8.hpp"

namespace artcache {
namespace {

constexpr std::size_t kNameShownMost = 60;  // of a host or parameter that is refused

// Messages never quote the text itself: a password may stand anywhere in it.
Error bad(std::string cause) { return Error{Errc::invalid_argument, "url: " + std::move(cause)}; }

Result<std::string> decode(std::string_view text, std::string_view part) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      const int high = i + 1 < text.size() ? util::hex_value(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? util::hex_value(text[i + 2]) : -1;
      if (high < 0 || low < 0)
        return bad("bad % escape in the " + std::string(part) + "; a literal % is written %25");
      c = static_cast<char>(high << 4 | low);
      i += 2;
    }
    if (c == '\0') return bad("NUL in the " + std::string(part));
    out.push_back(c);
  }
  return out;
}

bool is_scheme(std::string_view text) {
  if (text.empty() || !((text[0] | 0x20) >= 'a' && (text[0] | 0x20) <= 'z')) return false;
  return std::ranges::all_of(text, [](char c) {
    const char lower = static_cast<char>(c | 0x20);
    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '-' ||
           c == '.';
  });
}

Result<Url::Host> parse_host(std::string_view text) {
  Url::Host host;
  std::string_view name = text, port;
  bool has_port = false;
  const auto take_port = [&](std::size_t colon) {
    port = text.substr(colon + 1);
    has_port = true;
  };
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return bad("an IPv6 address without its closing ]");
    name = text.substr(1, close - 1);
    if (close + 1 < text.size()) {
      if (text[close + 1] != ':') return bad("something other than :port behind ]");
      take_port(close + 1);
    }
  } else if (const std::size_t colon = text.find(':'); colon != std::string_view::npos) {
    name = text.substr(0, colon);
    take_port(colon);
  }
  ARTCACHE_TRY(host.name, decode(name, "host"));
  if (host.name.empty() && text.starts_with('[')) return bad("nothing between [ and ]");
  if (has_port) {
    const auto [end, code] = std::from_chars(port.data(), port.data() + port.size(), host.port);
    if (code != std::errc() || end != port.data() + port.size() || host.port == 0)
      return bad("the port of host '" + util::printable(host.name, kNameShownMost) +
                 "' is not a number from 1 to 65535");
  }
  return host;
}

Result<std::vector<Url::Host>> parse_hosts(std::string_view text) {
  std::vector<Url::Host> hosts;
  if (text.empty()) return hosts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string_view one = text.substr(begin, end - begin);
    if (one.empty()) return bad("an empty name in the list of hosts");
    ARTCACHE_TRY(auto host, parse_host(one));
    hosts.push_back(std::move(host));
    begin = end + 1;
  }
  return hosts;
}

std::string quoted(std::string_view parameter) {
  return "parameter '" + util::printable(parameter, kNameShownMost) + "'";
}

Result<void> check_each_once(const std::vector<Url::Parameter>& parameters) {
  std::vector<std::string_view> names;
  for (const Url::Parameter& p : parameters) names.emplace_back(p.name);
  std::ranges::sort(names);
  if (const auto twice = std::ranges::adjacent_find(names); twice != names.end())
    return bad(quoted(*twice) + " is given twice");
  return {};
}

Result<std::vector<Url::Parameter>> parse_query(std::string_view text) {
  std::vector<Url::Parameter> parameters;
  while (!text.empty()) {
    const std::size_t ampersand = std::min(text.find('&'), text.size());
    const std::string_view pair = text.substr(0, ampersand);
    text.remove_prefix(std::min(ampersand + 1, text.size()));
    if (pair.empty()) continue;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    // Nobody names a parameter so: this is a password in which a ? was left as it is.
    if (pair.substr(0, equals).find('@') != std::string_view::npos)
      return bad("an @ in the name of a parameter; a literal ? is written %3F, & %26");
    Url::Parameter parameter;
    ARTCACHE_TRY(parameter.name, decode(pair.substr(0, equals), "name of a parameter"));
    ARTCACHE_TRY(parameter.value,
                 decode(pair.substr(std::min(equals + 1, pair.size())), quoted(parameter.name)));
    parameters.push_back(std::move(parameter));
  }
  ARTCACHE_CHECK(check_each_once(parameters));
  return parameters;
}

bool tells_of_secret(std::string_view name) {
  std::string lower(name);
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  });
  constexpr std::array<std::string_view, 8> words{"pass", "pwd",        "secret", "token",
                                                  "key",  "credential", "auth",   "signature"};
  return std::ranges::any_of(
      words, [&](std::string_view word) { return lower.find(word) != std::string::npos; });
}

void append_encoded(std::string& out, std::string_view text, std::string_view also_plain) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  for (char c : text) {
    const char lower = static_cast<char>(c | 0x20);
    if ((lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') ||
        std::string_view("-._~").find(c) != std::string_view::npos ||
        also_plain.find(c) != std::string_view::npos) {
      out.push_back(c);
      continue;
    }
    const auto u = static_cast<unsigned char>(c);
    out.push_back('%');
    out.push_back(kDigits[u >> 4]);
    out.push_back(kDigits[u & 0x0f]);
  }
}

/// A value may be an address itself: then the password in it is not shown either.
void append_value(std::string& out, std::string_view text, std::string_view also_plain) {
  const std::size_t marks = text.find("://"), at = text.rfind('@');
  if (marks != std::string_view::npos && at != std::string_view::npos && at > marks) {
    if (const std::size_t colon = text.find(':', marks + 3); colon < at) {
      append_encoded(out, text.substr(0, colon + 1), also_plain);
      out.append("***");
      text.remove_prefix(at);
    }
  }
  append_encoded(out, text, also_plain);
}

/// True where an @ behind the authority may be one of a password in which a / or ? was left as it
/// is. What seems to be path and parameters then must not be taken for something that can be shown.
bool may_hide_password(bool has_colon, const std::vector<Url::Host>& hosts) {
  return has_colon ||
         std::ranges::any_of(hosts, [](const Url::Host& host) { return host.port != 0; });
}

}  // namespace

Result<Url> Url::parse(std::string_view text) {
  Url url;
  url.text_ = text;
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || !is_scheme(text.substr(0, colon)))
    return bad("no scheme; an address looks like file:///srv/files or sqlite:///var/lib/i.db");
  url.scheme_ = text.substr(0, colon);
  for (char& c : url.scheme_)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  std::string_view rest = text.substr(colon + 1);
  if (rest.find('#') != std::string_view::npos) return bad("a # part; write a literal # as %23");

  if (rest.starts_with("//")) {
    url.has_authority_ = true;
    rest.remove_prefix(2);
    std::string_view authority = rest.substr(0, std::min(rest.find_first_of("/?"), rest.size()));
    rest.remove_prefix(authority.size());
    bool has_colon = false;
    if (const std::size_t at = authority.rfind('@'); at != std::string_view::npos) {
      const std::string_view account = authority.substr(0, at);
      const std::size_t split = std::min(account.find(':'), account.size());
      has_colon = split < account.size();
      ARTCACHE_TRY(url.user_, decode(account.substr(0, split), "user"));
      ARTCACHE_TRY(url.password_,
                   decode(account.substr(std::min(split + 1, account.size())), "password"));
      authority.remove_prefix(at + 1);
    }
    ARTCACHE_TRY(url.hosts_, parse_hosts(authority));
    if (rest.find('@') != std::string_view::npos && may_hide_password(has_colon, url.hosts_))
      return bad(
          "an @ behind the host; in a password / is written %2F and ? %3F, elsewhere a "
          "literal @ %40");
  }
  const std::size_t question = std::min(rest.find('?'), rest.size());
  ARTCACHE_TRY(url.path_, decode(rest.substr(0, question), "path"));
  ARTCACHE_TRY(url.parameters_, parse_query(rest.substr(std::min(question + 1, rest.size()))));
  return url;
}

std::optional<std::string> Url::parameter(std::string_view name) const {
  for (const Parameter& p : parameters_)
    if (p.name == name) return p.value;
  return std::nullopt;
}

Result<std::int64_t> Url::integer(std::string_view name, std::int64_t fallback, std::int64_t least,
                                  std::int64_t most) const {
  const auto text = parameter(name);
  if (!text) return fallback;
  std::int64_t number = 0;
  const auto [end, code] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (code != std::errc() || end != text->data() + text->size() || number < least || number > most)
    return bad(quoted(name) + " is not a whole number from " + std::to_string(least) + " to " +
               std::to_string(most));
  return number;
}

Result<bool> Url::flag(std::string_view name, std::optional<bool> fallback) const {
  const auto text = parameter(name);
  if (!text && fallback) return *fallback;
  if (!text) return bad(quoted(name) + " is missing");
  for (std::string_view yes : {"on", "true", "yes", "1"})
    if (*text == yes) return true;
  for (std::string_view no : {"off", "false", "no", "0"})
    if (*text == no) return false;
  return bad(quoted(name) + " is neither on nor off");
}

Result<std::chrono::milliseconds> Url::duration(std::string_view name,
                                                std::chrono::milliseconds fallback) const {
  const auto text = parameter(name);
  if (!text) return fallback;
  constexpr std::int64_t kMost = 1'000'000'000;
  std::int64_t number = 0;
  const char* const last = text->data() + text->size();
  const auto [end, code] = std::from_chars(text->data(), last, number);
  const std::string_view unit(end, static_cast<std::size_t>(last - end));
  const std::int64_t unit_ms = unit == "ms"                  ? 1
                               : unit == "s" || unit.empty() ? 1'000
                               : unit == "m"                 ? 60'000
                               : unit == "h"                 ? 3'600'000
                                                             : 0;
  if (code == std::errc() && number >= 0 && number <= kMost && unit_ms > 0)
    return std::chrono::milliseconds(number * unit_ms);
  return bad(quoted(name) + " is not a duration such as 250ms, 30s, 5m, 2h");
}

Result<void> Url::expect_only(std::initializer_list<std::string_view> known) const {
  for (const Parameter& p : parameters_) {
    if (std::ranges::find(known, std::string_view(p.name)) != known.end()) continue;
    std::string message = scheme_ + ": unknown " + quoted(p.name);
    if (const auto near = util::nearest(p.name, known); !near.empty())
      message.append("; did you mean '").append(near).append("'?");
    return bad(std::move(message));
  }
  return {};
}

std::string Url::redacted() const {
  std::string out = scheme_ + ":";
  const bool has_account = !user_.empty() || !password_.empty();
  const bool at_is_plain = !may_hide_password(!password_.empty(), hosts_);
  if (has_authority_) {
    out.append("//");
    if (has_account) {
      append_encoded(out, user_, "");
      if (!password_.empty()) out.append(":***");
      out.push_back('@');
    }
    for (std::size_t i = 0; i < hosts_.size(); ++i) {
      if (i > 0) out.push_back(',');
      const bool ipv6 = hosts_[i].name.find(':') != std::string::npos;
      out.append(ipv6 ? "[" : "");
      append_encoded(out, hosts_[i].name, ":");
      out.append(ipv6 ? "]" : "");
      if (hosts_[i].port != 0) out.append(":").append(std::to_string(hosts_[i].port));
    }
  }
  std::string_view path = path_;
  if (!has_authority_ && path.starts_with("//")) {  // would be read as the mark of a host
    out.append("/%2F");
    path.remove_prefix(2);
  }
  append_encoded(out, path, at_is_plain ? "/:@+," : "/:+,");
  char mark = '?';
  for (const Parameter& p : parameters_) {
    out.push_back(mark);
    mark = '&';
    append_encoded(out, p.name, "");
    out.push_back('=');
    if (tells_of_secret(p.name))
      out.append("***");
    else
      append_value(out, p.value, at_is_plain ? "/:@," : "/:,");
  }
  return out;
}

}  // namespace artcache
