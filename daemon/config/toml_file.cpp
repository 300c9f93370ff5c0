// SPDX-License-Identifier: Apache-2.0
#include "config/toml_file.hpp"

#include <toml++/toml.h>

#include <optional>
#include <utility>

namespace artcache::config {
namespace {

std::string place(const std::string& file, const toml::node& node) {
  return file + ":" + std::to_string(node.source().begin.line);
}

std::optional<std::string> text_of(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  if (const auto* flag = node.as_boolean()) return flag->get() ? "true" : "false";
  const auto* list = node.as_array();
  if (list == nullptr) return std::nullopt;
  std::string joined;
  for (const toml::node& item : *list) {
    const auto one = item.is_array() ? std::nullopt : text_of(item);
    if (!one) return std::nullopt;
    joined.append(joined.empty() ? "" : ",").append(*one);
  }
  return joined;
}

Result<void> flatten(const toml::table& table, const std::string& section, const std::string& file,
                     std::vector<Said>& all) {
  for (const auto& [key, node] : table) {
    const std::string name(key.str());
    if (const auto* inner = node.as_table()) {
      const std::string path = section.empty() ? name : section + "." + name;
      if (auto done = flatten(*inner, path, file, all); !done) return done;
      // A section without a line in it is still one: the role runs as it comes.
      if (inner->empty())
        all.push_back({.section = path, .name = {}, .value = {}, .source = place(file, node)});
      continue;
    }
    const std::string where = place(file, node);
    auto value = text_of(node);
    if (section.empty())
      return Error{Errc::invalid_argument, where + ": '" + name + "' is in no [section]"};
    if (!value)
      return Error{Errc::invalid_argument,
                   where + ": '" + name + "' is neither text, a whole number, a flag nor a list"};
    all.push_back({.section = section, .name = name, .value = *std::move(value), .source = where});
  }
  return {};
}

}  // namespace

Result<std::vector<Said>> parse_toml(std::string_view text, const std::string& file) {
  try {
    const toml::table table = toml::parse(text, file);
    std::vector<Said> all;
    if (auto done = flatten(table, "", file, all); !done) return std::move(done).error();
    return all;
  } catch (const toml::parse_error& error) {
    return Error{Errc::invalid_argument, file + ":" + std::to_string(error.source().begin.line) +
                                             ": " + std::string(error.description())};
  }
}

}  // namespace artcache::config
