// SPDX-License-Identifier: Apache-2.0
#include "backends/s3/listing.hpp"

#include <vector>

#include "backends/s3/place.hpp"
#include "backends/s3/xml.hpp"
#include "util/try.hpp"

namespace artcache::s3 {
namespace {

/// 1,000 keys of 1,024 bytes, each byte as %XX, and what stands around them.
constexpr std::size_t kPageMost = 8U << 20;

Result<ListPage> fetch_page(Client& client, const std::string& prefix, const std::string& after,
                            std::string_view most, const Call& call) {
  Request request;
  request.subject = "list '" + prefix + "'";
  request.query = {{"list-type", "2"},
                   {"prefix", prefix},
                   {"encoding-type", "url"},
                   {"max-keys", std::string(most)}};
  // By the last key and not by the server's token: it stays good when the server is started anew.
  if (!after.empty()) request.query.emplace_back("start-after", after);
  request.most = kPageMost;
  ARTCACHE_TRY(const Response response, client.send(request, call));
  if (response.status != 200) return error_of(request, response, client.target());
  if (response.too_large)
    return Error{Errc::corrupt, "s3: " + request.subject + ": a page has more than 8 MiB"};
  return parse_list(response.body);
}

/// One page sorted into files and problems.
struct Sorted {
  std::vector<ListedFile> files;
  std::vector<ListProblem> problems;
  bool any = false;
};

void sort_in(const ListedObject& object, const std::string& prefix, ListWhat what, Sorted& out) {
  const std::string_view path = std::string_view(object.key).substr(prefix.size());
  // Consoles make an empty object `folder/` for a folder; it holds nothing.
  if (path.empty() || (path.ends_with('/') && object.size == 0) || is_own_path(path)) return;
  out.any = true;
  if (what != ListWhat::all && !is_sidecar_path(path)) return;
  if (auto checked = check_storage_path(path); !checked) {
    // Such a key cannot be asked for by a path: it is named, not lost in silence.
    out.problems.push_back({std::string(path), std::move(checked).error()});
    return;
  }
  out.files.push_back({path, make_stamp(object.size, object.etag), object.modified});
}

}  // namespace

Result<void> list_objects(Client& client, const std::string& prefix, const ListRequest& request,
                          const ListSink& sink, const Call& call) {
  const std::string below = request.folder.empty() ? prefix : prefix + request.folder + "/";
  std::string after;
  bool any = request.folder.empty();
  for (;;) {
    ARTCACHE_TRY(const ListPage page, fetch_page(client, below, after, "1000", call));
    Sorted sorted;
    for (const ListedObject& object : page.objects) {
      if (!object.key.starts_with(below) || object.key <= after)
        return Error{Errc::corrupt, "s3: list '" + below + "': the server sent a key out of order"};
      after = object.key;
      sort_in(object, prefix, request.what, sorted);
    }
    any = any || sorted.any;
    if (!sorted.files.empty() || !sorted.problems.empty())
      ARTCACHE_CHECK(sink({sorted.files, sorted.problems}));
    if (!page.more) break;
  }
  if (any) return {};
  return Error{Errc::not_found, "s3: list '" + request.folder + "': there is no such folder"};
}

Result<void> check_bucket(Client& client, const std::string& prefix, const Call& call) {
  auto page = fetch_page(client, prefix, {}, "1", call);
  if (!page) return std::move(page).error();
  return {};
}

}  // namespace artcache::s3
