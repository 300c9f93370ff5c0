// SPDX-License-Identifier: Apache-2.0
#include "roles/query/naming.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "common/json_object.hpp"
#include "common/json_read.hpp"
#include "util/json_scan.hpp"

namespace artcache::query {
namespace {

std::string without_slash(std::string_view url) {
  while (url.ends_with('/')) url.remove_suffix(1);
  return std::string(url);
}

bool is_web(std::string_view url) {
  return url.starts_with("http://") || url.starts_with("https://");
}

}  // namespace

Result<std::vector<Owner>> parse_elements(std::string_view text) {
  std::vector<Owner> out;
  while (!text.empty()) {
    std::string_view one = text.substr(0, text.find(','));
    text.remove_prefix(std::min(one.size() + 1, text.size()));
    while (one.starts_with(' ')) one.remove_prefix(1);
    while (one.ends_with(' ')) one.remove_suffix(1);
    if (one.empty()) continue;
    const std::string_view id = one.substr(0, one.find('='));
    const std::string_view url = id.size() < one.size() ? one.substr(id.size() + 1) : "";
    const bool bare = id.size() == one.size();
    if (id.empty() || (bare ? id.find("://") != id.npos : !is_web(url)))
      return Error{Errc::invalid_argument,
                   "elements: '" + std::string(one) + "' is no id=http://host:port"};
    if (std::ranges::find(out, id, &Owner::element) != out.end())
      return Error{Errc::invalid_argument,
                   "elements: '" + std::string(id) + "' stands there twice"};
    out.push_back({std::string(id), without_slash(url)});
  }
  return out;
}

std::optional<Owner> parse_element(std::string_view json) {
  JsonObject one{std::string(json)};
  const auto id = one.text("element_id"), url = one.text("api_url");
  if (!id || !url || id->empty() || !is_web(*url)) return std::nullopt;
  return Owner{*id, without_slash(*url)};
}

Result<std::vector<Owner>> parse_registry(std::string_view json) {
  const Error wrong{Errc::corrupt, "the admin's list of elements is none"};
  const auto whole = JsonMembers::parse(json);
  const util::JsonValue* list = whole ? whole->find("storage_elements") : nullptr;
  if (list == nullptr || list->kind != util::JsonKind::array) return wrong;
  std::vector<Owner> out;
  util::JsonScanner scanner(list->text);
  util::JsonValue element;
  if (!scanner.enter_array()) return wrong;
  while (scanner.next_element(element)) {
    if (auto one = parse_element(element.text)) out.push_back(*std::move(one));
  }
  return out;
}

Result<std::vector<Owner>> ask_registry(web::HttpClient& http, const std::string& admin,
                                        const Token& token, const RejectToken& reject,
                                        const Call& call) {
  web::HttpReply reply;
  for (int tries = 0; tries == 0 || (tries == 1 && reply.head.status == 401); ++tries) {
    ARTCACHE_TRY(const std::string bearer, token(call));
    web::HttpRequest request{.url = admin + "/api/v1/internal/storage-elements/available"};
    request.headers.emplace_back("Authorization", "Bearer " + bearer);
    ARTCACHE_TRY(reply, http.send(request, call));
    if (reply.head.status == 401) reject(bearer);
  }
  if (reply.head.status != 200)
    return Error{Errc::unavailable, "the admin answers " + std::to_string(reply.head.status) +
                                        " to who asks for elements"};
  return parse_registry(reply.body);
}

std::optional<Heard> parse_event(std::string_view json) {
  JsonObject event{std::string(json)};
  const auto element = event.text("storage_element_id"), epoch = event.text("epoch");
  const auto seq = event.number("seq");
  if (!element || element->empty()) return std::nullopt;
  Heard out{.element = *element};
  // An event of the original has no place in a log.
  if (epoch && seq && *seq > 0) {
    const char* const end = epoch->data() + epoch->size();
    const auto [at, error] = std::from_chars(epoch->data(), end, out.epoch, 16);
    if (error == std::errc() && at == end)
      out.seq = static_cast<std::uint64_t>(*seq);
    else
      out.epoch = 0;
  }
  return out;
}

}  // namespace artcache::query
