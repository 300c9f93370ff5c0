// SPDX-License-Identifier: Apache-2.0
// An address names what artcache works on. Every call answers with a value, or with an Error that
// says what can be done about it. Give it a few addresses to try.
#include <artcache/backends.hpp>
#include <artcache/storage_backend.hpp>
#include <cstdio>

using namespace artcache;
using namespace std::chrono_literals;

Result<std::unique_ptr<StorageBackend>> open_address(const char* address) {
  const Result<Url> url = Url::parse(address);
  if (!url) return url.error();
  std::printf("%s\n", url->redacted().c_str());  // the only way to print one: it hides secrets
  return Backends::builtin().open_storage(*url, Deps{}, Call{}.within(5s));
}

void show(const char* address) {
  if (const auto storage = open_address(address))
    std::printf("  opened %s\n", (*storage)->describe().c_str());
  else
    std::printf("  %s\n", to_string(storage.error()).c_str());
}

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) show(argv[i]);
}
