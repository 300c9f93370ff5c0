// SPDX-License-Identifier: Apache-2.0
// A program of somebody else: uses enough of artcache to need every library behind it.
#include <artcache/backends.hpp>
#include <artcache/file_id.hpp>
#include <artcache/record.hpp>
#include <artcache/storage_backend.hpp>
#include <artcache/version.hpp>
#include <cstdio>
#include <string>

int main() {
  const std::string expected = std::to_string(ARTCACHE_VERSION_MAJOR) + "." +
                               std::to_string(ARTCACHE_VERSION_MINOR) + "." +
                               std::to_string(ARTCACHE_VERSION_PATCH);
  if (artcache::version() != expected) {
    std::printf("headers %s, library %s\n", expected.c_str(), artcache::version().data());
    return 1;
  }
  const auto id = artcache::to_string(artcache::FileId::mint(artcache::system_clock()));
  const auto digest = artcache::Digest::of(id, artcache::ContentHash{});
  const auto schemes = artcache::Backends::builtin().schemes();
  std::printf("artcache %s works: %s %s, %zu schemes\n", expected.c_str(), id.c_str(),
              artcache::to_string(digest).c_str(), schemes.size());
  return schemes.empty() ? 1 : 0;
}
