// SPDX-License-Identifier: Apache-2.0
#include "core/locks/lock_record.hpp"

#include <algorithm>
#include <array>
#include <artcache/json_writer.hpp>
#include <charconv>
#include <concepts>
#include <cstring>
#include <tuple>

#include "util/json_scan.hpp"
#include "util/try.hpp"
#include "util/utf8.hpp"

namespace artcache::locks {
namespace {

constexpr int kVersion = 1;
/// More than a record has around its texts.
constexpr std::size_t kAroundMost = 512;

using util::JsonKind;
using util::JsonValue;

Error bad(std::string_view what, std::string_view cause) {
  std::string message = "lock record: ";
  if (!what.empty()) message.append("member '").append(what).append("': ");
  return Error{Errc::corrupt, message.append(cause)};
}

struct Member {
  std::string name;
  JsonValue value;
};

/// The members of one flat object, each to be asked for by its name.
class Members {
 public:
  static Result<Members> read(std::string_view json) {
    util::JsonScanner scanner(json);
    Members out;
    JsonValue name, value;
    if (scanner.check_start() && scanner.enter_object())
      while (scanner.next_member(name, value)) {
        std::string key;
        util::append_decoded(key, name);
        out.members_.push_back({std::move(key), value});
      }
    if (scanner.failed()) return bad("", scanner.what());
    if (!scanner.at_end()) return bad("", "something follows it");
    ARTCACHE_TRY(const std::int64_t version, out.number("v"));
    if (version != kVersion) return bad("v", "made by a newer program");
    return out;
  }

  [[nodiscard]] Result<std::string> text(std::string_view name) const {
    const JsonValue* value = find(name);
    if (value == nullptr) return bad(name, "is missing");
    if (value->kind != JsonKind::string) return bad(name, "not a text");
    std::string out;
    util::append_decoded(out, *value);
    return out;
  }

  [[nodiscard]] Result<std::int64_t> number(std::string_view name) const {
    const JsonValue* value = find(name);
    if (value == nullptr) return bad(name, "is missing");
    std::int64_t out = 0;
    const char* end = value->text.data() + value->text.size();
    if (const auto [at, error] = std::from_chars(value->text.data(), end, out);
        value->kind != JsonKind::number || error != std::errc() || at != end)
      return bad(name, "not a whole number of 64 bits");
    return out;
  }

  [[nodiscard]] Result<bool> flag(std::string_view name) const {
    const JsonValue* value = find(name);
    if (value == nullptr) return bad(name, "is missing");
    if (value->kind != JsonKind::boolean) return bad(name, "neither true nor false");
    return value->text == "true";
  }

  [[nodiscard]] Result<LockClass> lock_class() const {
    ARTCACHE_TRY(const std::string name, text("class"));
    const auto found = parse_lock_class(name);
    if (!found) return bad("class", "no class of lock");
    return *found;
  }

 private:
  [[nodiscard]] const JsonValue* find(std::string_view name) const {
    const auto at = std::ranges::find(members_, name, &Member::name);
    return at == members_.end() ? nullptr : &at->value;
  }

  std::vector<Member> members_;
};

std::string clip(std::string_view text) { return util::printable(text, kTextMost); }

constexpr auto kOutOfTheOrdinary = [] {
  std::array<bool, 256> odd{};
  for (std::size_t c = 0; c < odd.size(); ++c) odd[c] = c < ' ' || c > '~' || c == '"' || c == '\\';
  return odd;
}();

/// Whether it stands between quotes, and before people, as it is.
bool is_ordinary(std::string_view text) {
  bool odd = false;
  for (const char c : text) odd |= kOutOfTheOrdinary[static_cast<unsigned char>(c)];
  return !odd;
}

/// What stands between the quotes for a text; `room` is for where that is another one.
std::string_view in_quotes(std::string_view text, std::string& room) {
  if (is_ordinary(text)) return text;
  append_json_string(room, text);
  return std::string_view(room).substr(1, room.size() - 2);
}
std::string_view in_quotes_for_people(std::string_view text, std::string& room) {
  if (text.size() <= kTextMost && is_ordinary(text)) return text;
  append_json_string(room, clip(text));
  return std::string_view(room).substr(1, room.size() - 2);
}

/// A record is written for every grant and renewal, so it is put together by hand, in room enough.
class Line {
 public:
  explicit Line(std::size_t room) : out_(room, ' '), to_(out_.data()) {}
  template <std::size_t kSize>
  Line& add(const char (&json)[kSize]) {
    std::memcpy(to_, json, kSize - 1);
    to_ += kSize - 1;
    return *this;
  }
  Line& text(std::string_view value) {
    to_ += value.copy(to_, value.size());
    return *this;
  }
  Line& number(std::integral auto value) {
    constexpr std::ptrdiff_t kDigitsMost = 24;
    to_ = std::to_chars(to_, to_ + kDigitsMost, value).ptr;
    return *this;
  }
  [[nodiscard]] std::string str() && {
    out_.resize(static_cast<std::size_t>(to_ - out_.data()));
    return std::move(out_);
  }

 private:
  std::string out_;
  char* to_;
};

}  // namespace

std::string encode(const LockRecord& record) {
  std::array<std::string, 5> rooms;
  const std::string_view owner = in_quotes(record.owner, rooms[0]);
  const std::string_view host = in_quotes_for_people(record.host, rooms[1]);
  const std::string_view place = in_quotes(record.place, rooms[2]);
  const std::string_view operation = in_quotes_for_people(record.operation, rooms[3]);
  const std::string_view progress = in_quotes_for_people(record.progress, rooms[4]);
  Line line(kAroundMost + owner.size() + host.size() + place.size() + operation.size() +
            progress.size());
  line.add("{\"v\":").number(kVersion);
  line.add(",\"class\":\"").text(to_string(record.lock_class));
  line.add("\",\"owner\":\"").text(owner);
  line.add("\",\"host\":\"").text(host);
  line.add("\",\"place\":\"").text(place);
  line.add("\",\"operation\":\"").text(operation);
  line.add("\",\"progress\":\"").text(progress);
  line.add("\",\"fence\":").number(record.fence);
  line.add(",\"ttl_ms\":").number(record.ttl.count());
  line.add(",\"acquired_at\":\"").text(to_string(record.acquired_at));
  line.add("\",\"acquired_us\":").number(record.acquired.count());
  line.add(",\"renewed_us\":").number(record.renewed.count());
  line.add(",\"expires_us\":").number(record.expires.count());
  line.add(",\"asked_to_yield\":").text(record.asked_to_yield ? "true}" : "false}");
  return std::move(line).str();
}

std::string encode(const Waiter& waiter) {
  return std::move(JsonWriter()
                       .begin_object()
                       .member("v", kVersion)
                       .member("class", to_string(waiter.lock_class))
                       .member("waiter", waiter.name)
                       .member("since_us", waiter.since.count())
                       .member("until_us", waiter.until.count())
                       .end_object())
      .str();
}

/// Between quotes that nothing escapes there is no text of a member, only a member. It is never the
/// first one, and there are fewer commas to look at than quotes.
bool is_of(std::string_view json, std::string_view owner) {
  constexpr std::string_view kBefore = ",\"owner\":\"";
  const std::size_t at = json.find(kBefore);
  if (owner.empty() || at == std::string_view::npos) return false;
  json.remove_prefix(at + kBefore.size());
  return json.starts_with(owner) && json.substr(owner.size()).starts_with('"');
}

Result<LockRecord> decode_record(std::string_view json) {
  ARTCACHE_TRY(const Members members, Members::read(json));
  LockRecord record;
  ARTCACHE_TRY(record.lock_class, members.lock_class());
  ARTCACHE_TRY(record.owner, members.text("owner"));
  ARTCACHE_TRY(record.host, members.text("host"));
  ARTCACHE_TRY(record.place, members.text("place"));
  ARTCACHE_TRY(record.operation, members.text("operation"));
  ARTCACHE_TRY(record.progress, members.text("progress"));
  ARTCACHE_TRY(const std::int64_t fence, members.number("fence"));
  if (fence <= 0) return bad("fence", "not above 0");
  record.fence = static_cast<std::uint64_t>(fence);
  ARTCACHE_TRY(const std::int64_t ttl, members.number("ttl_ms"));
  record.ttl = std::chrono::milliseconds(ttl);
  if (record.ttl < kTtlLeast || record.ttl > kTtlMost) return bad("ttl_ms", "out of range");
  ARTCACHE_TRY(const std::string at, members.text("acquired_at"));
  const auto acquired_at = Timestamp::parse(at);
  if (!acquired_at) return bad("acquired_at", "no time");
  record.acquired_at = *acquired_at;
  ARTCACHE_TRY(const std::int64_t acquired, members.number("acquired_us"));
  ARTCACHE_TRY(const std::int64_t renewed, members.number("renewed_us"));
  ARTCACHE_TRY(const std::int64_t expires, members.number("expires_us"));
  record.acquired = Time(acquired);
  record.renewed = Time(renewed);
  record.expires = Time(expires);
  ARTCACHE_TRY(record.asked_to_yield, members.flag("asked_to_yield"));
  return record;
}

Result<Waiter> decode_waiter(std::string_view json) {
  ARTCACHE_TRY(const Members members, Members::read(json));
  Waiter waiter;
  ARTCACHE_TRY(waiter.lock_class, members.lock_class());
  ARTCACHE_TRY(waiter.name, members.text("waiter"));
  ARTCACHE_TRY(const std::int64_t since, members.number("since_us"));
  ARTCACHE_TRY(const std::int64_t until, members.number("until_us"));
  waiter.since = Time(since);
  waiter.until = Time(until);
  return waiter;
}

bool is_name(std::string_view text, std::size_t most) {
  return !text.empty() && text.size() <= most && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

Result<void> check_request(const LockRequest& request) {
  const auto wrong = [](std::string cause) {
    return Error{Errc::invalid_argument, "lock: " + std::move(cause)};
  };
  if (!is_name(request.element, kLockMost))
    return wrong("element '" + clip(request.element) + "': 1 to " + std::to_string(kLockMost) +
                 " letters, digits, dots, underscores and hyphens");
  if (!request.waiter.empty() && !is_name(request.waiter, kNameMost))
    return wrong("waiter '" + clip(request.waiter) + "': at most " + std::to_string(kNameMost) +
                 " letters, digits, dots, underscores and hyphens");
  if (request.ttl && (*request.ttl < kTtlLeast || *request.ttl > kTtlMost))
    return wrong("TTL of " + std::to_string(request.ttl->count()) + " ms: from 100 ms to 24 hours");
  return {};
}

LockHolder to_holder(std::string_view element, const LockRecord& record, Time now) {
  using std::chrono::duration_cast;
  using std::chrono::milliseconds;
  LockHolder holder;
  holder.element = element;
  holder.lock_class = record.lock_class;
  holder.owner = record.owner;
  holder.host = record.host;
  holder.operation = record.operation;
  holder.progress = record.progress;
  holder.fence = record.fence;
  holder.acquired_at = record.acquired_at;
  holder.age = duration_cast<milliseconds>(now - record.acquired);
  holder.expires_in = duration_cast<milliseconds>(record.expires - now);
  holder.asked_to_yield = record.asked_to_yield;
  return holder;
}

void sort_holders(std::vector<LockHolder>& holders) {
  std::ranges::sort(holders, {}, [](const LockHolder& holder) {
    return std::tuple<const std::string&, LockClass, std::uint64_t>(
        holder.element, holder.lock_class, holder.fence);
  });
}

}  // namespace artcache::locks
