// SPDX-License-Identifier: Apache-2.0
#include "backends/s3/xml.hpp"

#include <charconv>
#include <pugixml.hpp>

#include "util/hex.hpp"
#include "util/try.hpp"

namespace artcache::s3 {
namespace {

Error corrupt(std::string_view cause) {
  return Error{Errc::corrupt, "s3: the server's answer: " + std::string(cause)};
}

Result<void> load(pugi::xml_document& document, std::string_view text) {
  if (text.find("<!DOCTYPE") != std::string_view::npos) return corrupt("has a DOCTYPE");
  const auto parsed =
      document.load_buffer(text.data(), text.size(), pugi::parse_default, pugi::encoding_utf8);
  if (!parsed) return corrupt(std::string("is no XML: ") + parsed.description());
  return {};
}

// With encoding-type=url a key comes as in a form: + is a space.
Result<std::string> decode_key(std::string_view text) {
  std::string key;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      key += text[i] == '+' ? ' ' : text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? util::hex_value(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? util::hex_value(text[i + 2]) : -1;
    if (high < 0 || low < 0) return corrupt("a key has a bad escape");
    key += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return key;
}

Result<ListedObject> parse_object(const pugi::xml_node& node) {
  ListedObject object;
  ARTCACHE_TRY(object.key, decode_key(node.child_value("Key")));
  if (object.key.empty()) return corrupt("an object has no key");
  object.etag = node.child_value("ETag");
  const std::string_view size = node.child_value("Size");
  const auto parsed = std::from_chars(size.data(), size.data() + size.size(), object.size);
  if (size.empty() || parsed.ec != std::errc() || parsed.ptr != size.data() + size.size())
    return corrupt("the size of an object is no number");
  auto modified = Timestamp::parse(node.child_value("LastModified"));
  if (!modified) return corrupt("an object has no time");
  object.modified = *modified;
  return object;
}

}  // namespace

Result<ListPage> parse_list(std::string_view text) {
  pugi::xml_document document;
  ARTCACHE_CHECK(load(document, text));
  const pugi::xml_node root = document.child("ListBucketResult");
  if (!root) return corrupt("is no listing");
  const std::string_view truncated = root.child_value("IsTruncated");
  if (truncated != "true" && truncated != "false")
    return corrupt("a listing does not say whether it goes on");
  ListPage page;
  page.more = truncated == "true";
  for (const pugi::xml_node& node : root.children("Contents")) {
    ARTCACHE_TRY(auto object, parse_object(node));
    page.objects.push_back(std::move(object));
  }
  for (const pugi::xml_node& node : root.children("CommonPrefixes")) {
    ARTCACHE_TRY(auto folder, decode_key(node.child_value("Prefix")));
    if (folder.empty()) return corrupt("a folder has no name");
    page.folders.push_back(std::move(folder));
  }
  if (page.more && page.objects.empty() && page.folders.empty())
    return corrupt("a listing goes on without an object");
  return page;
}

ServerError parse_error(std::string_view text) {
  pugi::xml_document document;
  if (!load(document, text)) return {};
  const pugi::xml_node root = document.child("Error");
  return {root.child_value("Code"), root.child_value("Message")};
}

Result<std::string> parse_value(std::string_view text, const char* root, const char* child) {
  pugi::xml_document document;
  ARTCACHE_CHECK(load(document, text));
  const std::string value = document.child(root).child_value(child);
  if (value.empty()) return corrupt(std::string("has no ") + child + " in " + root);
  return value;
}

std::string escape_xml(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  return out;
}

}  // namespace artcache::s3
