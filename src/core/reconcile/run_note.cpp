// SPDX-License-Identifier: Apache-2.0
#include "core/reconcile/run_note.hpp"

#include <charconv>

namespace artcache::reconcile {

std::string encode(const UnfinishedRun& run) {
  return "1 " + std::to_string(run.started_at.micros()) + " " + run.folder;
}

std::optional<UnfinishedRun> decode_unfinished(std::string_view text) {
  if (!text.starts_with("1 ")) return std::nullopt;
  text.remove_prefix(2);
  std::int64_t micros = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), micros);
  const auto used = static_cast<std::size_t>(end - text.data());
  if (code != std::errc() || used == text.size() || *end != ' ') return std::nullopt;
  return UnfinishedRun{Timestamp(std::chrono::microseconds(micros)),
                       std::string(text.substr(used + 1))};
}

}  // namespace artcache::reconcile
