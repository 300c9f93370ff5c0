// SPDX-License-Identifier: Apache-2.0
#include "core/reconcile/run_log.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <optional>

#include "core/reconcile/found_set.hpp"
#include "util/random.hpp"
#include "util/try.hpp"

namespace artcache::reconcile {
namespace {

constexpr std::string_view kName = "unfinished_full_rebuild";
constexpr std::size_t kDigits = 16;
/// Paths in one note; and in all, which is 32 MiB when they are loaded. What is beyond is read
/// again by the next run.
constexpr std::size_t kStepLeast = 50, kStepMost = 50'000, kRecordedMost = 4'000'000;
constexpr std::size_t kSteps = 50;

struct Beginning {
  Timestamp at;
  std::uint64_t seed = 0;
  std::string folder;
};

/// `2 <microseconds> <seed> <folder>`; nothing for a text that is none, such as one of another
/// program: then all is read again.
std::optional<Beginning> decode(std::string_view text) {
  if (!text.starts_with("2 ")) return std::nullopt;
  text.remove_prefix(2);
  Beginning beginning;
  std::int64_t micros = 0;
  const char* const end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, micros);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != ' ') return std::nullopt;
  const auto second = std::from_chars(first.ptr + 1, end, beginning.seed, 16);
  if (second.ec != std::errc() || second.ptr == end || *second.ptr != ' ') return std::nullopt;
  beginning.at = Timestamp(std::chrono::microseconds(micros));
  beginning.folder.assign(second.ptr + 1, end);
  return beginning;
}

void append_digits(std::string& out, std::uint64_t number) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  for (int shift = 60; shift >= 0; shift -= 4) out.push_back(kHex[number >> shift & 15]);
}

std::string loading_name() { return std::string(kName) + "/loading"; }
std::string name_of(std::size_t part) { return std::string(kName) + "/" + std::to_string(part); }

}  // namespace

Result<void> RunLog::begin(std::string_view folder, std::uint64_t expected, Timestamp now,
                           std::chrono::microseconds age_most) {
  step_ = std::clamp<std::size_t>(expected / kSteps, kStepLeast, kStepMost);
  const auto note = index_.note(kName, call_);
  if (!note) return note.error();
  const auto earlier = decode(*note);
  if (earlier && earlier->folder == folder && earlier->at <= now && now - earlier->at < age_most) {
    seed_ = earlier->seed;
    return load();
  }
  ARTCACHE_CHECK(end());
  std::array<std::uint8_t, 8> random{};
  util::fill_random(random);
  seed_ = std::bit_cast<std::uint64_t>(random);
  std::string beginning = "2 " + std::to_string(now.micros()) + " ";
  append_digits(beginning, seed_);
  beginning.append(" ").append(folder);
  return index_.set_note(kName, beginning, fence_, call_);
}

Result<void> RunLog::load() {
  for (;; ++parts_) {
    const auto note = index_.note(name_of(parts_), call_);
    if (!note) return note.error();
    const std::string_view text = *note;
    if (text.empty()) break;
    for (std::size_t at = 0; at + kDigits <= text.size(); at += kDigits) {
      std::uint64_t hash = 0;
      std::from_chars(text.data() + at, text.data() + at + kDigits, hash, 16);
      done_.push_back(hash);
    }
  }
  std::ranges::sort(done_);
  recorded_ = done_.size();
  ARTCACHE_TRY(const std::string generation, index_.note(loading_name(), call_));
  if (generation.empty()) return {};
  ARTCACHE_TRY(const IndexHead head, index_.head(call_));
  loaded_ = generation != std::to_string(head.generation);
  return {};
}

Result<void> RunLog::loading() {
  ARTCACHE_TRY(const IndexHead head, index_.head(call_));
  return index_.set_note(loading_name(), std::to_string(head.generation), fence_, call_);
}

bool RunLog::done(std::string_view path) const {
  return loaded_ || (!done_.empty() && std::ranges::binary_search(done_, path_hash(path, seed_)));
}

Result<void> RunLog::add(std::string_view path) {
  if (recorded_ >= kRecordedMost) return {};
  append_digits(pending_, path_hash(path, seed_));
  ++recorded_;
  return pending_.size() >= step_ * kDigits ? write() : Result<void>();
}

Result<void> RunLog::write() {
  ARTCACHE_CHECK(index_.set_note(name_of(parts_), pending_, fence_, call_));
  ++parts_;
  pending_.clear();
  return {};
}

Result<void> RunLog::end() { return index_.drop_notes(kName, fence_, call_); }

}  // namespace artcache::reconcile
