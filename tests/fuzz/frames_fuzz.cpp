// SPDX-License-Identifier: Apache-2.0
// Any bytes as the answer of a log: cut into the same frames however they arrive, and each refused
// as corrupt or written again as the very bytes that it was read from.
#include <artcache/content.hpp>
#include <artcache/log_frames.hpp>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace artcache;  // NOLINT: a program of one file

void require(bool good) {
  if (!good) std::abort();
}

/// Nothing more is asked of a reader that has refused something.
struct Cut {
  std::vector<std::pair<frames::Kind, std::string>> frames;
  bool refused = false;
  bool inside = false;
};

Cut cut(std::string_view text, std::size_t piece) {
  Cut all;
  frames::Reader reader;
  for (std::size_t at = 0; at < text.size() && !all.refused; at += piece) {
    reader.add(text.substr(at, piece));
    while (true) {
      const auto frame = reader.next();
      if (!frame) {
        require(frame.error().code == Errc::corrupt);
        all.refused = true;
        break;
      }
      if (!*frame) break;
      all.frames.emplace_back((*frame)->kind, (*frame)->body);
    }
  }
  all.inside = reader.inside();
  return all;
}

/// Refused, or `write` says it again with the same bytes.
template <class T, class F>
void check_body(std::string_view body, const Result<T>& read, const F& write) {
  if (!read) {
    require(read.error().code == Errc::corrupt);
    return;
  }
  std::string again;
  write(again, *read);
  frames::Reader reader;
  reader.add(again);
  const auto frame = reader.next();
  require(frame && *frame && (*frame)->body == body && !reader.inside());
}

void check_payload(std::string_view payload) {
  const auto entry = parse_content(payload);
  if (!entry) {
    require(entry.error().code == Errc::corrupt);
    return;
  }
  std::string again;
  append_content(again, *entry);
  const auto reread = parse_content(again);
  require(reread && *reread == *entry);
}

void check_frame(frames::Kind kind, std::string_view body) {
  switch (kind) {
    case frames::Kind::head:
      return check_body(body, frames::parse_head(body), frames::append_head);
    case frames::Kind::row: {
      const auto row = frames::parse_row(body);
      check_body(body, row, frames::append_row);
      if (row) check_payload(row->record.payload);
      return;
    }
    case frames::Kind::record: {
      const auto record = frames::parse_record(body);
      check_body(body, record, frames::append_record);
      if (record) check_payload(record->payload);
      return;
    }
    case frames::Kind::keys:
      return check_body(body, frames::parse_keys(body), frames::append_keys);
    case frames::Kind::digests:
      return check_body(body, frames::parse_digests(body), [](std::string& out, const auto& read) {
        frames::append_digests(out, read.first, read.second);
      });
    case frames::Kind::end:
      return check_body(body, frames::parse_end(body), frames::append_end);
    case frames::Kind::absent:
      return;
  }
}

void check(std::string_view text) {
  const Cut whole = cut(text, text.size() + 1);
  for (const auto& [kind, body] : whole.frames) check_frame(kind, body);
  const Cut pieces = cut(text, 1 + text.size() % 7);
  require(pieces.frames == whole.frames && pieces.refused == whole.refused);
  require(whole.refused || pieces.inside == whole.inside);

  const auto buckets = frames::parse_buckets(text);
  require(buckets ? frames::buckets_text(*buckets) == text : buckets.error().code == Errc::corrupt);
  const auto keys = frames::parse_key_list(text);
  require(keys ? frames::key_list(*keys) == text : keys.error().code == Errc::corrupt);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  check({reinterpret_cast<const char*>(data), size});
  return 0;
}
