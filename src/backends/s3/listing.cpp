// SPDX-License-Identifier: Apache-2.0
#include "backends/s3/listing.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "backends/s3/place.hpp"
#include "backends/s3/xml.hpp"
#include "util/try.hpp"

namespace artcache::s3 {
namespace {

/// 1,000 keys of 1,024 bytes, each byte as %XX, and what stands around them.
constexpr std::size_t kPageMost = 8U << 20;
/// One request in so many is beyond one a page: a listing costs a tenth more for being quick.
constexpr std::size_t kPagesPerExtra = 11;
/// Pages at once, each up to kPageMost.
constexpr std::size_t kRangesMost = 16;

Request page_request(const std::string& prefix, const std::string& after, std::string_view most) {
  Request request;
  request.subject = "list '" + prefix + "'";
  request.query = {{"list-type", "2"},
                   {"prefix", prefix},
                   {"encoding-type", "url"},
                   {"max-keys", std::string(most)}};
  // By the last key and not by the server's token: it stays good when the server is started anew.
  if (!after.empty()) request.query.emplace_back("start-after", after);
  request.most = kPageMost;
  return request;
}

Result<ListPage> page_of(const Request& request, Result<Response> response, const Target& target) {
  if (!response) return std::move(response).error();
  if (response->status != 200) return error_of(request, *response, target);
  if (response->too_large)
    return Error{Errc::corrupt, "s3: " + request.subject + ": a page has more than 8 MiB"};
  return parse_list(response->body);
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

/// Keys that one chain of pages brings: behind `after`, up to and with `until`.
struct Range {
  std::string after;
  std::optional<std::string> until = {};
  std::deque<std::string> cuts = {};  ///< folders known to lie within, where it can be cut
  std::size_t level = 0;              ///< folders of so many levels above have been looked for
  bool flat = false;                  ///< holds no folders to cut at
  bool asked = false;                 ///< a request is on its way
};

/// One listing: pages of several ranges at once, cut where folders begin.
class Listing {
 public:
  Listing(const Client& client, std::string below, const std::string& prefix, ListWhat what,
          const ListSink& sink)
      : client_(client), below_(std::move(below)), prefix_(prefix), what_(what), sink_(sink) {
    ranges_.push_back(std::make_unique<Range>());
  }

  std::optional<Request> next();
  Result<void> done(std::size_t index, Result<Response> response);
  [[nodiscard]] bool any() const { return any_; }

 private:
  struct Asked {
    Range* range;
    Request request;
    bool for_folders;
  };

  Range* idle_range();
  bool cut_one();
  Range* range_to_look_into();
  [[nodiscard]] std::optional<std::string> parent_at(const Range& range) const;
  Request ask(Range& range, Request request, bool for_folders);
  Result<void> take_page(Range& range, const ListPage& page);
  void take_folders(Range& range, ListPage page) const;

  const Client& client_;
  const std::string below_;
  const std::string& prefix_;
  const ListWhat what_;
  const ListSink& sink_;
  std::vector<std::unique_ptr<Range>> ranges_;
  std::map<std::size_t, Asked> asked_;
  std::size_t made_ = 0, pages_ = 0, extras_ = 0;
  bool any_ = false;
};

Request Listing::ask(Range& range, Request request, bool for_folders) {
  range.asked = true;
  asked_.emplace(made_++, Asked{&range, request, for_folders});
  return request;
}

Range* Listing::idle_range() {
  for (const auto& range : ranges_)
    if (!range->asked) return range.get();
  return nullptr;
}

/// Cuts the range with the most folders in the middle of them; its upper half is one of its own.
bool Listing::cut_one() {
  const auto most = std::max_element(
      ranges_.begin(), ranges_.end(),
      [](const auto& a, const auto& b) { return a->cuts.size() < b->cuts.size(); });
  if (most == ranges_.end() || (*most)->cuts.empty()) return false;
  Range& lower = **most;
  auto upper = std::make_unique<Range>();
  const auto middle = lower.cuts.begin() + static_cast<std::ptrdiff_t>(lower.cuts.size() / 2);
  upper->after = *middle;
  upper->until = std::move(lower.until);
  upper->cuts.assign(std::make_move_iterator(middle + 1),
                     std::make_move_iterator(lower.cuts.end()));
  upper->level = lower.level;
  lower.cuts.erase(middle, lower.cuts.end());
  lower.until = upper->after;
  ranges_.push_back(std::move(upper));
  ++extras_;  // the page of the lower half that reaches into the upper one
  return true;
}

/// The folder whose sub-folders may lie in the rest of the range; nothing when it is not so deep.
std::optional<std::string> Listing::parent_at(const Range& range) const {
  std::size_t end = below_.size();
  for (std::size_t level = 0; level < range.level; ++level) {
    end = range.after.find('/', end);
    if (end == std::string::npos) return std::nullopt;
    ++end;
  }
  return range.after.substr(0, end);
}

Range* Listing::range_to_look_into() {
  for (const auto& range : ranges_)
    if (!range->asked && !range->flat && range->cuts.empty() && !range->after.empty())
      return range.get();
  return nullptr;
}

std::optional<Request> Listing::next() {
  const bool may_spend = (extras_ + 1) * kPagesPerExtra <= pages_ && ranges_.size() < kRangesMost;
  if (may_spend && !cut_one()) {
    if (Range* const range = range_to_look_into()) {
      if (const auto parent = parent_at(*range)) {
        ++extras_;
        Request request = page_request(*parent, range->after, "1000");
        request.query.emplace_back("delimiter", "/");
        return ask(*range, std::move(request), true);
      }
      range->flat = true;
    }
  }
  Range* const range = idle_range();
  if (range == nullptr) return std::nullopt;
  return ask(*range, page_request(below_, range->after, "1000"), false);
}

/// The folder in which `after` lies has begun already: it is no place to cut at.
void Listing::take_folders(Range& range, ListPage page) const {
  for (std::string& folder : page.folders) {
    const bool ahead = folder > range.after && !range.after.starts_with(folder);
    if (ahead && folder.starts_with(below_) && (!range.until || folder < *range.until))
      range.cuts.push_back(std::move(folder));
  }
  std::sort(range.cuts.begin(), range.cuts.end());  // whatever the server sent
  ++range.level;
}

Result<void> Listing::take_page(Range& range, const ListPage& page) {
  ++pages_;
  if (page.more && page.objects.empty())
    return Error{Errc::corrupt, "s3: list '" + below_ + "': a page goes on without an object"};
  Sorted sorted;
  bool over = !page.more;
  for (const ListedObject& object : page.objects) {
    if (!object.key.starts_with(below_) || object.key <= range.after)
      return Error{Errc::corrupt, "s3: list '" + below_ + "': the server sent a key out of order"};
    if (range.until && object.key > *range.until) {
      over = true;
      break;
    }
    range.after = object.key;
    sort_in(object, prefix_, what_, sorted);
  }
  over = over || (range.until && range.after >= *range.until);
  while (!range.cuts.empty() && range.cuts.front() <= range.after) range.cuts.pop_front();
  any_ = any_ || sorted.any;
  if (over) std::erase_if(ranges_, [&](const auto& owned) { return owned.get() == &range; });
  if (sorted.files.empty() && sorted.problems.empty()) return {};
  return sink_({sorted.files, sorted.problems});
}

Result<void> Listing::done(std::size_t index, Result<Response> response) {
  const Asked asked = std::move(asked_.extract(index).mapped());
  asked.range->asked = false;
  ARTCACHE_TRY(ListPage page, page_of(asked.request, std::move(response), client_.target()));
  if (!asked.for_folders) return take_page(*asked.range, page);
  take_folders(*asked.range, std::move(page));
  return {};
}

}  // namespace

Result<void> list_objects(Client& client, const std::string& prefix, const ListRequest& request,
                          const ListSink& sink, const Call& call) {
  Listing listing(client, request.folder.empty() ? prefix : prefix + request.folder + "/", prefix,
                  request.what, sink);
  ARTCACHE_CHECK(client.send_all([&] { return listing.next(); },
                                 [&](std::size_t index, Result<Response> response) {
                                   return listing.done(index, std::move(response));
                                 },
                                 call));
  if (listing.any() || request.folder.empty()) return {};
  return Error{Errc::not_found, "s3: list '" + request.folder + "': there is no such folder"};
}

Result<void> check_bucket(Client& client, const std::string& prefix, const Call& call) {
  const Request request = page_request(prefix, {}, "1");
  auto page = page_of(request, client.send(request, call), client.target());
  if (!page) return std::move(page).error();
  return {};
}

}  // namespace artcache::s3
