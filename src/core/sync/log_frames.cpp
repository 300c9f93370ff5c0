// SPDX-License-Identifier: Apache-2.0
#include <artcache/log_frames.hpp>

#include <chrono>
#include <cstring>

#include "util/try.hpp"

namespace artcache::frames {
namespace {

constexpr std::size_t kHeadSize = 5;  // of a frame: its kind, the length of its body

void put_number(std::string& out, std::uint64_t number, unsigned bytes) {
  for (unsigned i = bytes; i > 0; --i) out.push_back(static_cast<char>(number >> (8 * (i - 1))));
}
void put_digest(std::string& out, const Digest& digest) {
  put_number(out, digest.high(), 8);
  put_number(out, digest.low(), 8);
}
void put_position(std::string& out, const Position& position) {
  put_number(out, position.epoch, 8);
  put_number(out, position.seq, 8);
  put_digest(out, position.digest);
}
void put_hash(std::string& out, const ContentHash& hash) {
  out.append(reinterpret_cast<const char*>(hash.bytes.data()), hash.bytes.size());
}
void put_key(std::string& out, std::string_view key) {
  put_number(out, key.size(), 1);
  out.append(key);
}

/// Writes the length of a frame when its body is there.
class Open {
 public:
  Open(std::string& out, Kind kind) : out_(out), at_(out.size()) {
    out_.push_back(static_cast<char>(kind));
    out_.append(4, '\0');
  }
  ~Open() {
    std::string length;
    put_number(length, out_.size() - at_ - kHeadSize, 4);
    out_.replace(at_ + 1, 4, length);
  }
  Open(const Open&) = delete;
  Open& operator=(const Open&) = delete;

 private:
  std::string& out_;
  const std::size_t at_;
};

/// Takes a body apart; what is not there makes it bad, and is 0.
class Parts {
 public:
  explicit Parts(std::string_view text) : text_(text) {}

  std::string_view bytes(std::size_t size) {
    good_ = good_ && size <= text_.size();
    const std::string_view part = text_.substr(0, good_ ? size : 0);
    text_.remove_prefix(part.size());
    return part;
  }
  std::uint64_t number(unsigned size) {
    std::uint64_t value = 0;
    for (const char c : bytes(size)) value = value << 8 | static_cast<unsigned char>(c);
    return value;
  }
  Digest digest() {
    const std::uint64_t high = number(8);
    return {high, number(8)};
  }
  Position position() {
    Position position;
    position.epoch = number(8);
    position.seq = number(8);
    position.digest = digest();
    return position;
  }
  ContentHash hash() {
    ContentHash hash;
    const std::string_view part = bytes(hash.bytes.size());
    std::memcpy(hash.bytes.data(), part.data(), part.size());
    return hash;
  }
  std::string_view key() { return bytes(number(1)); }
  std::string_view rest() { return bytes(text_.size()); }
  [[nodiscard]] bool more() const { return good_ && !text_.empty(); }

  /// The value, once all of the body was understood.
  template <class T>
  Result<T> whole(T value, std::string_view what) const {
    if (!good_ || !text_.empty())
      return Error{Errc::corrupt, "log: " + std::string(what) + " that cannot be read"};
    return value;
  }

 private:
  std::string_view text_;
  bool good_ = true;
};

}  // namespace

void append_head(std::string& out, const IndexHead& head) {
  const Open frame(out, Kind::head);
  put_position(out, head.position);
  for (const std::uint64_t number : {head.count, head.bytes, head.oldest_seq})
    put_number(out, number, 8);
  out.append(head.suspect_reason);
}

Result<IndexHead> parse_head(std::string_view body) {
  Parts parts(body);
  IndexHead head;
  head.position = parts.position();
  head.count = parts.number(8);
  head.bytes = parts.number(8);
  head.oldest_seq = parts.number(8);
  head.suspect_reason = parts.rest();
  return parts.whole(std::move(head), "a head");
}

void append_row(std::string& out, const LogRow& row) {
  const Open frame(out, Kind::row);
  put_position(out, row.position);
  put_number(out, static_cast<std::uint8_t>(row.kind), 1);
  put_number(out, static_cast<std::uint64_t>(row.committed_at.micros()), 8);
  put_key(out, row.record.key);
  put_hash(out, row.record.hash);
  out.append(row.record.payload);
}

Result<LogRow> parse_row(std::string_view body) {
  Parts parts(body);
  LogRow row;
  row.position = parts.position();
  const std::uint64_t kind = parts.number(1);
  if (kind > static_cast<std::uint8_t>(LogRow::Kind::reset))
    return Error{Errc::corrupt, "log: a row of an unknown kind"};
  row.kind = static_cast<LogRow::Kind>(kind);
  row.committed_at = Timestamp(Timestamp::Duration(static_cast<std::int64_t>(parts.number(8))));
  row.record.key = parts.key();
  row.record.hash = parts.hash();
  row.record.payload = parts.rest();
  return parts.whole(std::move(row), "a row");
}

void append_record(std::string& out, const Record& record) {
  const Open frame(out, Kind::record);
  put_key(out, record.key);
  put_hash(out, record.hash);
  out.append(record.payload);
}

Result<Record> parse_record(std::string_view body) {
  Parts parts(body);
  Record record;
  record.key = parts.key();
  record.hash = parts.hash();
  record.payload = parts.rest();
  return parts.whole(std::move(record), "a record");
}

void append_absent(std::string& out) { const Open frame(out, Kind::absent); }

void append_keys(std::string& out, std::span<const KeyHash> keys) {
  const Open frame(out, Kind::keys);
  for (const KeyHash& one : keys) {
    put_key(out, one.key);
    put_hash(out, one.hash);
  }
}

Result<std::vector<KeyHash>> parse_keys(std::string_view body) {
  Parts parts(body);
  std::vector<KeyHash> keys;
  while (parts.more()) {
    KeyHash& one = keys.emplace_back();
    one.key = parts.key();
    one.hash = parts.hash();
  }
  return parts.whole(std::move(keys), "keys");
}

void append_digests(std::string& out, const Position& position,
                    std::span<const BucketDigest> digests) {
  const Open frame(out, Kind::digests);
  put_position(out, position);
  for (const BucketDigest& one : digests) {
    put_digest(out, one.digest);
    put_number(out, one.count, 4);
  }
}

Result<std::pair<Position, std::vector<BucketDigest>>> parse_digests(std::string_view body) {
  Parts parts(body);
  std::pair<Position, std::vector<BucketDigest>> all;
  all.first = parts.position();
  while (parts.more()) {
    BucketDigest& one = all.second.emplace_back();
    one.digest = parts.digest();
    one.count = parts.number(4);
  }
  return parts.whole(std::move(all), "digests");
}

void append_end(std::string& out, const Position& position) {
  const Open frame(out, Kind::end);
  put_position(out, position);
}

Result<Position> parse_end(std::string_view body) {
  Parts parts(body);
  const Position position = parts.position();
  return parts.whole(position, "an end");
}

std::string buckets_text(std::span<const std::uint32_t> buckets) {
  std::string text;
  for (const std::uint32_t bucket : buckets) put_number(text, bucket, 4);
  return text;
}

Result<std::vector<std::uint32_t>> parse_buckets(std::string_view text) {
  Parts parts(text);
  std::vector<std::uint32_t> buckets;
  while (parts.more()) buckets.push_back(static_cast<std::uint32_t>(parts.number(4)));
  return parts.whole(std::move(buckets), "buckets");
}

std::string key_list(std::span<const std::string> keys) {
  std::string text;
  for (const std::string& key : keys) put_key(text, key);
  return text;
}

Result<std::vector<std::string>> parse_key_list(std::string_view text) {
  Parts parts(text);
  std::vector<std::string> keys;
  while (parts.more()) keys.emplace_back(parts.key());
  return parts.whole(std::move(keys), "keys");
}

void Reader::add(std::string_view piece) {
  text_.erase(0, at_);
  at_ = 0;
  text_.append(piece);
}

Result<std::optional<Frame>> Reader::next() {
  const std::string_view rest = std::string_view(text_).substr(at_);
  if (rest.size() < kHeadSize) return std::optional<Frame>();
  Parts parts(rest);
  const Kind kind = static_cast<Kind>(parts.bytes(1).front());
  const std::uint64_t length = parts.number(4);
  if (length > kFrameMost) return Error{Errc::corrupt, "log: a frame that is too long"};
  if (rest.size() < kHeadSize + length) return std::optional<Frame>();
  at_ += kHeadSize + length;
  return std::optional(Frame{kind, rest.substr(kHeadSize, length)});
}

}  // namespace artcache::frames
