// SPDX-License-Identifier: Apache-2.0
#include "http/site.hpp"

#include <algorithm>
#include <tuple>

namespace artcache::http {
namespace {

/// The first part of a path without its slash; the path moves on behind it.
std::string_view take_part(std::string_view& path) {
  path.remove_prefix(1);
  const std::string_view part = path.substr(0, path.find('/'));
  path.remove_prefix(part.size());
  return part;
}

bool is_name(std::string_view part) { return part.starts_with('{'); }

std::string_view without_last_slash(std::string_view path) {
  if (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  return path;
}

bool fits(std::string_view pattern, std::string_view path) {
  while (!pattern.empty() && !path.empty()) {
    const std::string_view wanted = take_part(pattern), part = take_part(path);
    if (is_name(wanted) ? part.empty() : wanted != part) return false;
  }
  return pattern.empty() && path.empty();
}

Pairs values_of(std::string_view pattern, std::string_view path) {
  Pairs values;
  while (!pattern.empty()) {
    const std::string_view wanted = take_part(pattern), part = take_part(path);
    // What is no escape has been refused with the request line.
    if (is_name(wanted))
      values.add(std::string(wanted.substr(1, wanted.size() - 2)),
                 percent_decode(part, Escapes::of_path).value_or(std::string(part)));
  }
  return values;
}

bool is_pattern(std::string_view pattern) {
  if (!pattern.starts_with('/')) return false;
  if (pattern == "/") return true;
  while (!pattern.empty()) {
    const std::string_view part = take_part(pattern);
    const bool braces = part.find_first_of("{}") != std::string_view::npos;
    if (part.empty()) return false;
    if (braces && (part.size() < 3 || part.front() != '{' || part.find('}') != part.size() - 1))
      return false;
  }
  return true;
}

/// HEAD is what looks and costs nothing, so it begins nothing that lasts.
bool has_head(const Route& route) {
  return route.method == Method::get && route.threads != Threads::lasting;
}

void allow(std::vector<Method>& allowed, Method method) {
  if (std::ranges::find(allowed, method) == allowed.end()) allowed.push_back(method);
}

}  // namespace

Site::Site(std::string name, ProblemRenderer render)
    : name_(std::move(name)), render_(std::move(render)) {}

Result<void> Site::add(Route route) {
  route.pattern = without_last_slash(route.pattern);
  const std::string what = std::string(to_string(route.method)) + " " + route.pattern;
  if (!is_pattern(route.pattern))
    return Error{Errc::invalid_argument, "route: '" + what + "': not /words/and/{names}"};
  if ((route.handler || route.quick) == bool(route.late))
    return Error{Errc::invalid_argument,
                 "route: '" + what + "': it needs a handler, or a late one"};
  const auto key = [](const Route& r) { return std::tie(r.pattern, r.method); };
  const auto at = std::ranges::lower_bound(routes_, key(route), {}, key);
  if (at != routes_.end() && key(*at) == key(route))
    return Error{Errc::conflict, "route: '" + what + "': it is there already"};
  routes_.insert(at, std::move(route));
  return {};
}

Site::Match Site::find(Method method, std::string_view path) const {
  path = without_last_slash(path);
  Match match;
  if (!path.starts_with('/')) return match;
  for (const Route& route : routes_) {
    if (!fits(route.pattern, path)) continue;
    if (route.method == method || (method == Method::head && has_head(route))) {
      match.route = &route;
      match.values = values_of(route.pattern, path);
      match.allowed.clear();
      return match;
    }
    allow(match.allowed, route.method);
    if (has_head(route)) allow(match.allowed, Method::head);
  }
  return match;
}

Response Site::render(const Problem& problem, const Request& request) const {
  Response response = render_(problem, request);
  for (const Headers::Field& field : problem.headers.all())
    response.headers.set(field.name, field.value);
  return response;
}

}  // namespace artcache::http
