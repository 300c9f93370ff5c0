// SPDX-License-Identifier: Apache-2.0
// Follows the log of an index, or of an element over HTTP, and tells each change as it comes.
#include <artcache/backends.hpp>
#include <artcache/follower.hpp>
#include <artcache/http_log.hpp>
#include <cstdio>
#include <cstdlib>

using namespace artcache;
using namespace std::chrono_literals;

namespace {

Result<void> tell(LogSource& log, const Call& call) {
  const auto head = log.head(call);
  if (!head) return head.error();
  // What is older is in the index itself, or in log.snapshot().
  Position position = head->position;
  std::printf("following %s from %s\n", log.name().c_str(), to_string(position).c_str());
  for (;;) {
    // Waits for the next change; answers with none when nothing happens for so long.
    const auto slice = log.read_after(position, 100, 20s, call);
    // "gone": the log was restored, or has forgotten this position. A Follower would now compare.
    if (!slice) return slice.error();
    for (const LogRow& row : slice->rows) {
      const bool put = row.kind == LogRow::Kind::put;
      std::printf("%llu %s %s\n", static_cast<unsigned long long>(row.position.seq),
                  put ? "put" : "gone", row.record.key.c_str());
      position = row.position;  // to be kept, where it shall go on after a restart
    }
  }
}

Result<void> run(const std::string& address, const char* token, const Call& call) {
  if (address.starts_with("http")) {
    HttpLogSettings settings{.url = address, .token = {}};
    if (token != nullptr)
      settings.token = [token](const Call&) { return Result<std::string>(token); };
    const auto log = open_http_log(settings, Deps{});
    return log ? tell(**log, call) : log.error();
  }
  const auto url = Url::parse(address);
  if (!url) return url.error();
  const auto index = Backends::builtin().open_index(*url, Deps{}, call);
  if (!index) return index.error();
  return tell(*make_log_source(**index), call);
}

}  // namespace

// usage: 05_follow_a_log ADDRESS [TOKEN [SECONDS]]
int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);  // each line as it comes, also into a pipe
  const auto seconds = std::chrono::seconds(argc > 3 ? std::atol(argv[3]) : 1);
  const auto done =
      run(argc > 1 ? argv[1] : "mem:", argc > 2 ? argv[2] : nullptr, Call{}.within(seconds));
  if (done.error().code == Errc::timed_out) return 0;  // as it was told
  std::fprintf(stderr, "%s\n", to_string(done.error()).c_str());
  return 1;
}
