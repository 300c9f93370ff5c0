// SPDX-License-Identifier: Apache-2.0
// Gives every file of the folders named on the command line to a fuzz target, once.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

void replay(const std::filesystem::path& path) {
  // Named before it is run: a target that finds something ends the process.
  std::printf("%s\n", path.filename().c_str());
  std::fflush(stdout);
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t count = 0;
  for (int i = 1; i < argc; ++i) {
    std::error_code failed;
    for (const auto& found : std::filesystem::directory_iterator(argv[i], failed)) {
      if (!found.is_regular_file()) continue;
      replay(found.path());
      ++count;
    }
    if (failed) {
      std::fprintf(stderr, "replay: %s: %s\n", argv[i], failed.message().c_str());
      return 1;
    }
  }
  std::printf("%zu files replayed\n", count);
  return count > 0 ? 0 : 1;
}
