// SPDX-License-Identifier: Apache-2.0
#include "config/settings.hpp"

#include <algorithm>
#include <artcache/url.hpp>
#include <cassert>
#include <charconv>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

namespace artcache::config {
namespace {

constexpr std::string_view kHidden = "***";
// A word that is further off was not meant.
constexpr std::size_t kEditsMost = 3;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

std::optional<bool> parse_flag(std::string_view text) {
  const std::string word = lower(text);
  for (const char* yes : {"true", "on", "1", "yes"})
    if (word == yes) return true;
  for (const char* no : {"false", "off", "0", "no"})
    if (word == no) return false;
  return std::nullopt;
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

struct Unit {
  std::string_view name;
  std::uint64_t millis;
};
constexpr Unit kUnits[] = {{"ms", 1},        {"s", 1000},       {"m", 60'000},
                           {"h", 3'600'000}, {"d", 86'400'000}, {"", 1000}};

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  constexpr std::uint64_t kMost = std::uint64_t{1} << 52;
  for (const Unit& unit : kUnits) {
    if (!text.ends_with(unit.name)) continue;
    const auto number = parse_number(text.substr(0, text.size() - unit.name.size()));
    if (!number || *number > kMost / unit.millis) return std::nullopt;
    return std::chrono::milliseconds(static_cast<std::int64_t>(*number * unit.millis));
  }
  return std::nullopt;
}

std::size_t edits_between(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row.back();
}

/// What a value should have been; nothing when it is that.
std::optional<std::string> complaint(const Setting& setting, const std::string& value) {
  switch (setting.kind) {
    case Kind::number: {
      const auto number = parse_number(value);
      if (number && *number >= setting.least && *number <= setting.most) return std::nullopt;
      std::string text = "not a whole number of at least " + std::to_string(setting.least);
      if (setting.most != UINT64_MAX) text += " and at most " + std::to_string(setting.most);
      return text;
    }
    case Kind::flag:
      if (parse_flag(value)) return std::nullopt;
      return "not true/false, on/off, 1/0 or yes/no";
    case Kind::duration: {
      const auto duration = parse_duration(value);
      const auto millis = duration ? static_cast<std::uint64_t>(duration->count()) : 0;
      if (duration && millis >= setting.least && millis <= setting.most) return std::nullopt;
      std::string text = "not a duration such as 250ms, 30s, 5m, 2h or 1d";
      if (setting.least > 0) text += ", of at least " + duration_text(setting.least);
      if (setting.most != UINT64_MAX) text += ", of at most " + duration_text(setting.most);
      return text;
    }
    case Kind::address:
      if (value.empty() || Url::parse(value)) return std::nullopt;
      return "not an address such as sqlite:///var/lib/artcache/index.db";
    case Kind::text:
    case Kind::secret:
      break;
  }
  return std::nullopt;
}

}  // namespace

std::string duration_text(std::uint64_t millis) {
  const Unit* best = &kUnits[0];
  for (const Unit& unit : kUnits)
    if (unit.millis > best->millis && millis % unit.millis == 0) best = &unit;
  return std::to_string(millis / best->millis).append(best->name);
}

std::string nearest(std::string_view word, const std::vector<std::string_view>& candidates) {
  std::string_view best;
  std::size_t fewest = std::min(kEditsMost, word.size() / 2) + 1;
  for (const std::string_view candidate : candidates)
    if (const std::size_t edits = edits_between(word, candidate); edits < fewest) {
      fewest = edits;
      best = candidate;
    }
  return std::string(best);
}

Settings::Settings(std::span<const Setting> table) : table_(table) {
  for (const Setting& setting : table) {
    assert(!complaint(setting, std::string(setting.fallback)));
    values_[setting.name] = {
        .setting = &setting, .text = std::string(setting.fallback), .source = "default"};
  }
}

Result<void> Settings::put(std::string_view name, std::string value, std::string source) {
  const auto at = values_.find(name);
  if (at == values_.end())
    return Error{Errc::not_found, source + ": there is no setting '" + std::string(name) + "'"};
  const Setting& setting = *at->second.setting;
  if (const auto text = complaint(setting, value)) {
    // A secret, or an address that cannot be parsed, may hold what must not be printed.
    const bool hidden = setting.kind == Kind::secret || setting.kind == Kind::address;
    return Error{Errc::invalid_argument, source + ": " + std::string(name) +
                                             (hidden ? "" : " = '" + value + "'") + ": " + *text};
  }
  at->second.text = std::move(value);
  at->second.source = std::move(source);
  return {};
}

const Settings::Value& Settings::at(std::string_view name) const {
  const auto found = values_.find(name);
  assert(found != values_.end());
  static const Value none;
  return found == values_.end() ? none : found->second;
}

bool Settings::has(std::string_view name) const { return values_.contains(name); }
const std::string& Settings::text(std::string_view name) const { return at(name).text; }
std::uint64_t Settings::number(std::string_view name) const {
  return parse_number(text(name)).value_or(0);
}
bool Settings::flag(std::string_view name) const { return parse_flag(text(name)).value_or(false); }
std::chrono::milliseconds Settings::duration(std::string_view name) const {
  return parse_duration(text(name)).value_or(std::chrono::milliseconds(0));
}
bool Settings::was_said(std::string_view name) const { return at(name).source != "default"; }
const std::string& Settings::source(std::string_view name) const { return at(name).source; }

std::string Settings::shown(std::string_view name) const {
  const Value& value = at(name);
  if (value.text.empty() || value.setting == nullptr) return value.text;
  if (value.setting->kind == Kind::secret) return std::string(kHidden);
  if (value.setting->kind != Kind::address) return value.text;
  const auto url = Url::parse(value.text);
  return url ? url->redacted() : std::string(kHidden);
}

}  // namespace artcache::config
