// SPDX-License-Identifier: Apache-2.0
// The log of an element over HTTP, as docs/formats/log-protocol.md has it.
#include <artcache/follower.hpp>
#include <artcache/log_frames.hpp>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <utility>

#include "roles/element/element.hpp"
#include "roles/element/log_polls.hpp"
#include "roles/element/log_snapshot.hpp"
#include "util/try.hpp"

namespace artcache::element {
namespace {

using http::Method;
using http::Reply;
using http::Request;

constexpr std::uint32_t kLimitMost = 10'000, kLimitUsual = 1000;
constexpr std::uint32_t kWaitMostMs = 60'000;
constexpr unsigned kBitsMost = 16;
constexpr std::size_t kBodyMost = 1024 * 1024;
// Each holds a thread and, in SQLite, the log of the database while it is read.
constexpr int kSnapshotsMost = 4;

/// A number of the query; `usual` when it is not there.
Result<std::uint32_t> number_of(const Request& request, std::string_view name, std::uint32_t usual,
                                std::uint32_t most) {
  const auto text = request.query.find(name);
  if (!text) return usual;
  std::uint32_t number = 0;
  const auto [end, errc] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (errc != std::errc() || end != text->data() + text->size() || number > most)
    return Error{Errc::invalid_argument, std::string(name) + ": a number from 0 to " +
                                             std::to_string(most) + " is expected"};
  return number;
}

constexpr http::QueryField kPrefixField{"prefix", "string", "of the keys of which is told"};
constexpr http::QueryField kSnapshotQuery[] = {kPrefixField};
constexpr http::QueryField kRowsQuery[] = {
    {"after", "string", "the position behind which it begins, epoch/seq/digest"},
    {"limit", "integer", "rows, at most"},
    {"wait_ms", "integer", "how long it waits for the first one"},
    kPrefixField};

Reply framed(std::string body) {
  http::Response response{.body = std::move(body)};
  response.headers.add("Content-Type", std::string(frames::kContentType));
  return response;
}

/// Whether what a reader says it has seen is believed against the index, which is then suspect and
/// compared with all its files. Nobody but the reader knows whether it is true, so only those are
/// believed who may change files here anyway; of a role that only reads people are told.
enum class Word : std::uint8_t { counts, is_heard };

Word word_of(const Request& request) {
  const bool changes = request.identity &&
                       (request.identity->role == "admin" || request.identity->role == "operator");
  return changes ? Word::counts : Word::is_heard;
}

/// Behind the error stands what a follower may want to know about the log there is.
Reply refusal(Element& element, const Position& after, Word word, const Error& error) {
  if (error.code != Errc::gone) return error;
  const Call call = Call{}.within(std::chrono::seconds(5), *element.parts().deps.clock);
  const auto head = element.parts().index->head(call);
  if (!head) return head.error();
  if (was_rewound(*head, after)) {
    if (word == Word::counts)
      element.rewound(after, call);
    else
      element.doubted(after, call);
  }
  JsonWriter json;
  json.begin_object()
      .member("detail", error.message)
      .member("reason", error.message)
      .member("epoch", to_string(head->position).substr(0, 16))
      .member("oldest", head->oldest_seq)
      .member("head", to_string(head->position))
      .end_object();
  return http::json_response(410, std::move(json).str());
}

Reply head_of(Element& element, Request& request) {
  const auto head = element.parts().index->head(request.call);
  if (!head) return head.error();
  std::string body;
  frames::append_head(body, *head);
  frames::append_end(body, head->position);
  return framed(std::move(body));
}

/// Of which records is told; empty: of all.
std::string prefix_of(const Request& request) {
  return std::string(request.query.find("prefix").value_or(std::string_view{}));
}

Reply rows_reply(Element& element, const Position& after, Word word, const std::string& prefix,
                 const Result<LogSlice>& slice) {
  if (!slice) return refusal(element, after, word, slice.error());
  std::string body;
  frames::append_head(body, slice->head);
  for (const LogRow& row : slice->rows)
    if (row.kind == LogRow::Kind::reset || row.record.key.starts_with(prefix))
      frames::append_row(body, row);
  const Position& upto = slice->rows.empty() ? after : slice->rows.back().position;
  element.told(upto);
  frames::append_end(body, upto);
  return framed(std::move(body));
}

Result<LogPolls::Wish> wish_of(Element& element, const Request& request) {
  LogPolls::Wish wish;
  ARTCACHE_TRY(wish.after,
               parse_position(request.query.find("after").value_or(std::string_view{})));
  ARTCACHE_TRY(wish.limit, number_of(request, "limit", kLimitUsual, kLimitMost));
  if (wish.limit == 0) return Error{Errc::invalid_argument, "limit: at least 1 is expected"};
  ARTCACHE_TRY(const std::uint32_t wait, number_of(request, "wait_ms", 0, kWaitMostMs));
  wish.until = element.parts().deps.clock->steady() + std::chrono::milliseconds(wait);
  wish.stop = request.call.stop;
  return wish;
}

void rows_after(Element& element, const Request& request, const http::Answer& answer) {
  auto wish = wish_of(element, request);
  if (!wish) return answer(wish.error());
  wish->done = [&element, after = wish->after, word = word_of(request), prefix = prefix_of(request),
                answer](const Result<LogSlice>& slice) {
    answer(rows_reply(element, after, word, prefix, slice));
  };
  if (auto added = element.polls().add(std::move(*wish)); !added) answer(added.error());
}

/// As ChangeLog::bucket_digests(), of the records whose keys begin so.
Result<std::vector<BucketDigest>> digests_below(MetadataStore& index, unsigned bits,
                                                const std::string& prefix, Position* position,
                                                const Call& call) {
  if (prefix.empty()) return index.bucket_digests(bits, position, call);
  std::vector<BucketDigest> buckets(std::size_t{1} << bits);
  const auto add = [&](std::span<const KeyAndHash> rows) -> Result<void> {
    for (const KeyAndHash& row : rows) {
      const std::string key = to_string(row.id);
      if (!key.starts_with(prefix)) continue;
      BucketDigest& bucket = buckets[bits == 0 ? 0 : key_hash(key) >> (64 - bits)];
      bucket.digest += Digest::of(key, row.hash);
      ++bucket.count;
    }
    return {};
  };
  ARTCACHE_TRY(*position, index.scan(add, call));
  return buckets;
}

Reply digests_of(Element& element, Request& request) {
  const auto bits = number_of(request, "bits", 10, kBitsMost);
  if (!bits) return bits.error();
  const auto text = http::read_all(*request.body, kBodyMost);
  if (!text) return text.error();
  const auto wanted = frames::parse_buckets(*text);
  if (!wanted) return Error{Errc::invalid_argument, wanted.error().message};
  Position position;
  const auto all =
      digests_below(*element.parts().index, *bits, prefix_of(request), &position, request.call);
  if (!all) return all.error();
  std::vector<BucketDigest> some;
  for (const std::uint32_t number : *wanted) {
    if (number >= all->size())
      return Error{Errc::invalid_argument, "there is no bucket " + std::to_string(number)};
    some.push_back((*all)[number]);
  }
  std::string body;
  frames::append_digests(body, position, wanted->empty() ? *all : some);
  frames::append_end(body, position);
  return framed(std::move(body));
}

Reply keys_of(LogSource& log, Request& request) {
  const auto bits = number_of(request, "bits", 10, kBitsMost);
  if (!bits) return bits.error();
  const auto text = http::read_all(*request.body, kBodyMost);
  if (!text) return text.error();
  const auto buckets = frames::parse_buckets(*text);
  if (!buckets || !std::ranges::is_sorted(*buckets))
    return Error{Errc::invalid_argument, "buckets in ascending order are expected"};
  std::string body;
  const std::string prefix = prefix_of(request);
  std::vector<KeyHash> some;
  const auto told = log.keys(
      *bits, *buckets,
      [&](std::span<const KeyHash> keys) -> Result<void> {
        some.clear();
        std::ranges::copy_if(keys, std::back_inserter(some),
                             [&](const KeyHash& one) { return one.key.starts_with(prefix); });
        frames::append_keys(body, some);
        if (body.size() <= frames::kFrameMost) return {};
        return Error{Errc::invalid_argument, "too many keys: ask for fewer buckets"};
      },
      request.call);
  if (!told) return told.error();
  frames::append_end(body);
  return framed(std::move(body));
}

Reply records_of(LogSource& log, Request& request) {
  const auto text = http::read_all(*request.body, kBodyMost);
  if (!text) return text.error();
  const auto keys = frames::parse_key_list(*text);
  if (!keys) return Error{Errc::invalid_argument, keys.error().message};
  if (keys->size() > kLimitMost)
    return Error{Errc::invalid_argument, "at most " + std::to_string(kLimitMost) + " keys"};
  const auto records = log.records(*keys, request.call);
  if (!records) return records.error();
  std::string body;
  for (const auto& record : *records)
    if (record)
      frames::append_record(body, *record);
    else
      frames::append_absent(body);
  frames::append_end(body);
  return framed(std::move(body));
}

Reply snapshot_of(Element& element, const Request& request, const SnapshotPlace::All& running) {
  auto place = SnapshotPlace::take(running, kSnapshotsMost);
  if (!place) return Error{Errc::busy, "log: too many snapshots are read already"};
  http::Response response;
  response.headers.add("Content-Type", std::string(frames::kContentType));
  response.stream =
      std::make_unique<LogSnapshot>(*element.parts().index, prefix_of(request), *std::move(place),
                                    SnapshotLimit{.time = element.settings().snapshot_limit,
                                                  .clock = element.parts().deps.clock});
  return response;
}

}  // namespace

Result<void> add_log_routes(Element& element, http::Site& site) {
  const std::shared_ptr<LogSource> log =
      make_log_source(*element.parts().index, element.parts().deps);
  const auto running = std::make_shared<std::atomic<int>>(0);
  const auto add = [&](Method method, std::string_view name, std::string_view summary,
                       http::Handler handler, http::LateHandler late,
                       std::span<const http::QueryField> query = {}) {
    http::Route route{.method = method, .pattern = "/api/v1/log/" + std::string(name)};
    route.summary = summary;
    route.handler = std::move(handler);
    route.late = std::move(late);
    route.query = query;
    if (method == Method::post) route.body.media = http::BodyShape::Media::frames;
    return site.add(element.parts().gate->protect(
        std::move(route),
        {.callers = auth::Callers::service_accounts, .roles = {"admin", "operator", "auditor"}}));
  };
  ARTCACHE_CHECK(add(Method::get, "head", "Where the log of this element is",
                     [&element](Request& request) { return head_of(element, request); }, {}));
  ARTCACHE_CHECK(add(
      Method::get, "rows", "Changes behind a position, waited for", {},
      [&element](const Request& request, const http::Answer& answer) {
        rows_after(element, request, answer);
      },
      kRowsQuery));
  ARTCACHE_CHECK(add(
      Method::get, "snapshot", "Every record, as of one position",
      [&element, running](Request& request) { return snapshot_of(element, request, running); }, {},
      kSnapshotQuery));
  ARTCACHE_CHECK(add(Method::post, "digests", "Digests of buckets of records",
                     [&element](Request& request) { return digests_of(element, request); }, {}));
  ARTCACHE_CHECK(add(Method::post, "keys", "Keys and hashes in some buckets",
                     [log](Request& request) { return keys_of(*log, request); }, {}));
  return add(Method::post, "records", "Records by their keys",
             [log](Request& request) { return records_of(*log, request); }, {});
}

}  // namespace artcache::element
