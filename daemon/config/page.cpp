// SPDX-License-Identifier: Apache-2.0
#include "config/page.hpp"

#include <string_view>

#include "config/plan.hpp"

namespace artcache::config {
namespace {

constexpr std::string_view kHead =
    "# Settings\n"
    "\n"
    "Everything that `artcached` can be told, as its own tables have it: `artcached --settings`\n"
    "prints this page. How file, environment and flags go together is told in\n"
    "[the daemon](daemon.md#configuration); `--print-config` shows what is in force.\n"
    "\n"
    "A duration is `250ms`, `30s`, `5m`, `2h` or `1d`; a bare number means seconds. A flag is\n"
    "`true` or `false`, `on` or `off`, `yes` or `no`, `1` or `0`. A secret is never printed.\n"
    "Where two variables stand, the second counts when the first is not set.\n";

std::string_view word_of(Kind kind) {
  switch (kind) {
    case Kind::text:
      return "text";
    case Kind::number:
      return "number";
    case Kind::flag:
      return "flag";
    case Kind::duration:
      return "duration";
    case Kind::secret:
      return "secret";
    case Kind::address:
      return "address";
  }
  return "";
}

/// For a cell of a table.
std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

std::string code(std::string_view text) { return text.empty() ? "" : '`' + cell(text) + '`'; }

std::string kind_of(const Setting& setting) {
  std::string out(word_of(setting.kind));
  const bool least = setting.least > 0, most = setting.most != UINT64_MAX;
  const auto text = [&](std::uint64_t bound) {
    return setting.kind == Kind::duration ? duration_text(bound) : std::to_string(bound);
  };
  if (least) out += ", from " + text(setting.least);
  if (most) out += (least ? " to " : ", up to ") + text(setting.most);
  return out;
}

void append_table(std::string& out, std::span<const Setting> table) {
  out += "\n| setting | environment | kind | default | what it is |\n|---|---|---|---|---|\n";
  for (const Setting& one : table)
    out += "| " + code(one.name) + " | " + code(one.variable) +
           (one.also.empty() ? "" : ", " + code(one.also)) + " | " + kind_of(one) + " | " +
           code(one.fallback) + " | " + cell(one.meaning) + " |\n";
}

}  // namespace

std::string settings_page(std::span<const RoleKind* const> kinds) {
  std::string out(kHead);
  out += "\n## The process\n\n`[daemon]` in the file.\n";
  append_table(out, daemon_settings());
  out += "\n## Every role\n\nIn the section of the role, for its port.\n";
  append_table(out, site_settings());
  for (const RoleKind* kind : kinds) {
    const std::string name(kind->name);
    out += "\n## The role " + name + "\n\n`[" + name + "]` in the file";
    if (kind->instance != kind->name)
      out += ", or `[" + name + "." + std::string(kind->instance) + "]`";
    out += ". Its usual port is " + std::to_string(kind->port) + ".\n";
    append_table(out, kind->settings);
  }
  return out;
}

}  // namespace artcache::config
