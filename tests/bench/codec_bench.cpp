// SPDX-License-Identifier: Apache-2.0
// Reading, checking and hashing sidecars, against a parser that only parses.
#include <array>
#include <artcache/backends.hpp>
#include <artcache/storage_backend.hpp>
#include <boost/json.hpp>
#include <memory>

#include <artcache/content.hpp>
#include "bench/bench.hpp"
#include "bench/sample_store.hpp"
#include "core/attr/sidecar.hpp"

namespace artcache::bench {
namespace {

constexpr std::uint64_t kSidecars = 20'000;
constexpr int kRounds = 5;

std::size_t parse_all(const std::vector<std::string>& sidecars) {
  // Boost.JSON at its fastest: one parser, one buffer, nothing freed on the way.
  std::array<unsigned char, 65536> buffer;  // NOLINT: filled by the parser
  boost::json::parser parser;
  std::size_t members = 0;
  for (const std::string& bytes : sidecars) {
    boost::json::monotonic_resource memory(buffer.data(), buffer.size());
    parser.reset(&memory);
    parser.write(bytes);
    members += parser.release().as_object().size();
  }
  return members;
}

std::size_t decode_all(const std::vector<std::string>& sidecars) {
  FileEntry entry;
  std::size_t sum = 0;
  for (const std::string& bytes : sidecars) {
    must(attr::decode(bytes, "bench", entry));
    sum += content_hash(entry).bytes[0];
  }
  return sum;
}

}  // namespace

std::vector<Figure> codec_figures(const Options& options) {
  const SampleStore store(options.folder, kSidecars);
  const std::vector<std::string> sidecars = store.read_all();
  volatile std::size_t keep = 0;
  const Pair best = best_of(
      kRounds, [&] { keep = keep + decode_all(sidecars); },
      [&] { keep = keep + parse_all(sidecars); });
  const double scale = 1e6 / static_cast<double>(sidecars.size());
  return {{.group = "codec",
           .name = "parse, validate, hash one sidecar",
           .value = best.ours * scale,
           .floor = best.floor * scale,
           .unit = "us",
           .floor_name = "Boost.JSON, one parser, monotonic memory",
           .must = 1.6,
           .aim = 1.0}};
}

}  // namespace artcache::bench
