// SPDX-License-Identifier: Apache-2.0
#include "bench/sample_rows.hpp"

#include <numeric>

#include "bench/bench.hpp"
#include "cli/sample.hpp"
#include "core/attr/sidecar.hpp"

namespace artcache::bench {
namespace {

constexpr std::uint64_t kSeed = 1;
constexpr std::uint64_t kFolder = 50;  // files in a folder of a sample store

/// Another order of the numbers below `count`.
std::uint64_t shuffled(std::uint64_t number, std::uint64_t count) {
  std::uint64_t step = count * 5 / 8 | 1;
  while (std::gcd(step, count) != 1) step += 2;
  return number * step % count;
}

}  // namespace

std::vector<BulkLoad::Row> SampleRows::make(std::uint64_t from, std::uint64_t to) const {
  std::vector<BulkLoad::Row> rows;
  rows.reserve(to - from);
  const std::uint64_t whole = files_ / kFolder;
  FileEntry entry;
  for (std::uint64_t n = from; n < to; ++n) {
    const std::uint64_t folder = n / kFolder;
    const std::uint64_t number =
        folder < whole ? shuffled(folder, whole) * kFolder + n % kFolder : n;
    cli::SampleSidecar sidecar = cli::sample_sidecar(kSeed, number);
    must(attr::decode(sidecar.bytes, "bench", entry));
    // Words of which it is known how many entries have them: a tenth, a tenth, a hundredth.
    entry.description = entry.description.value_or("") + " bay" + std::to_string(n % 10) + " lot" +
                        std::to_string(n / 10 % 10) + " pallet" + std::to_string(n / 10 % 100);
    BulkLoad::Row& row = rows.emplace_back();
    row.put = prepare(entry);
    row.freshness = {entry.updated_at, 24};
    row.scanned.path = std::move(sidecar.path);
    row.scanned.stamp.size = sidecar.bytes.size();
    row.scanned.stamp.mark.fill(static_cast<std::uint8_t>(number | 1));
    row.scanned.id = entry.id;
    row.scanned.hash = row.put.hash;
    row.scanned.updated_at = entry.updated_at;
  }
  return rows;
}

EntryChange change_of(const BulkLoad::Row& row) {
  EntryChange change;
  change.id = row.put.entry.id;
  change.put = row.put;
  change.freshness = row.freshness;
  return change;
}

}  // namespace artcache::bench
