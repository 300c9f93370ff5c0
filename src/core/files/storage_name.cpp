// SPDX-License-Identifier: Apache-2.0
#include <artcache/storage_name.hpp>

#include <algorithm>

#include "util/utf8.hpp"

namespace artcache {
namespace {

constexpr std::size_t kNameMost = 200, kExtensionMost = 32, kUserMost = 80;
constexpr std::string_view kCut = "...";

bool is_refused(char c) {
  const auto u = static_cast<unsigned char>(c);
  return u < ' ' || u == 0x7f || std::string_view("<>:\"/\\|?*").find(c) != std::string_view::npos;
}

/// Refused characters and broken UTF-8 as `_`, never two of them in a row, none at the ends.
std::string clean(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t length = util::utf8_sequence(text);
    const bool replace = length == 0 || is_refused(text.front()) || text.front() == '_';
    if (!replace)
      out.append(text.substr(0, length));
    else if (!out.empty() && out.back() != '_')
      out.push_back('_');
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  while (out.ends_with('_')) out.pop_back();
  return out;
}

std::string compact_time(Timestamp time) {
  std::string text = to_string(time).substr(0, 19);  // 2026-03-02T10:11:12
  std::erase_if(text, [](char c) { return c == '-' || c == ':'; });
  return text;
}

}  // namespace

std::string storage_filename(std::string_view original_filename, std::string_view username,
                             Timestamp uploaded_at, const FileId& id) {
  // A name that is all suffix (".profile") has no extension.
  const std::size_t dot = original_filename.rfind('.');
  const bool has_extension = dot != std::string_view::npos && dot > 0;
  const std::string_view extension_text = has_extension ? original_filename.substr(dot) : "";

  std::string extension = clean(extension_text);
  if (extension == ".") extension.clear();
  extension = util::utf8_prefix(extension, kExtensionMost);
  std::string stem = clean(original_filename.substr(0, has_extension ? dot : std::string::npos));
  // No name of ours (.tmp_…, .keep, .artcache) begins a stored file.
  while (stem.starts_with('.')) stem.erase(0, 1);
  if (stem.empty()) stem = "file";

  std::string tail("_");
  tail.append(util::utf8_prefix(clean(username), kUserMost)).append("_");
  tail.append(compact_time(uploaded_at)).append("_").append(to_string(id)).append(extension);
  const std::size_t room = kNameMost - util::utf8_length(tail);
  if (util::utf8_length(stem) > room)
    stem = std::string(util::utf8_prefix(stem, room - kCut.size())).append(kCut);
  return stem + tail;
}

std::string storage_folder(Timestamp uploaded_at) {
  std::string text = to_string(uploaded_at).substr(0, 13);  // 2026-03-02T10
  std::ranges::replace(text, '-', '/');
  std::ranges::replace(text, 'T', '/');
  return text + "/";
}

}  // namespace artcache
