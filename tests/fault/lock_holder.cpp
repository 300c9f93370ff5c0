// SPDX-License-Identifier: Apache-2.0
// A process that holds a lock and is treated badly by lock_fault_test. It does what it is told on
// stdin, one word a line, and answers each with a line on stdout:
//   acquire   takes the lock: "ok <fence>"
//   commit    one row more under the lease, without asking whether it still stands: "ok"
//   release   gives it back: "ok"
//   churn     acquires, commits and releases until it is killed; answers once, as it begins
//   contend CLASS MS FILE
//             acquires, commits and releases with others for so long, and writes a line for each
//             lock it had: class, fence, nanoseconds of the grant and of the release: "ok"
// or with the name of the error. usage: artcache_lock_holder ADDRESS ELEMENT TTL_MS [LOCKS]
#include <unistd.h>

#include <array>
#include <artcache/backends.hpp>
#include <artcache/lock_manager.hpp>
#include <artcache/metadata_store.hpp>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <thread>

#include "support/sample_entry.hpp"

namespace {

using namespace artcache;

class Holder {
 public:
  Holder(MetadataStore& index, LockManager& locks, LockRequest request)
      : index_(index), locks_(locks), request_(std::move(request)) {}

  std::string obey(const std::string& word) {
    if (word == "acquire") return acquire();
    if (word == "commit") return commit();
    if (word == "release") return answer(locks_.release(lease_, {}));
    if (word == "churn") churn();
    if (word.starts_with("contend ")) return contend(word);
    return "unknown word";
  }

 private:
  template <class R>
  static std::string answer(const R& result) {
    return result ? "ok" : std::string(to_string(result.error().code));
  }
  std::string acquire() {
    auto lease = locks_.try_acquire(request_, {});
    if (!lease) return to_string(lease.error());
    lease_ = *lease;
    return "ok " + std::to_string(lease_.fence);
  }
  std::string commit() {
    const std::array changes{test::put_of(test::sample_entry(next_++))};
    return answer(index_.apply({.changes = changes, .fence = lease_.fence}, {}));
  }
  [[noreturn]] void churn() {
    std::cout << "ok" << std::endl;
    while (true) {
      (void)acquire();
      (void)commit();
      (void)locks_.release(lease_, {});
    }
  }

  std::string contend(const std::string& words) {
    std::istringstream in(words);
    std::string word, class_name, path;
    int duration = 0;
    in >> word >> class_name >> duration >> path;
    LockRequest request = request_;
    request.lock_class = parse_lock_class(class_name).value_or(LockClass::manual_rebuild);
    request.waiter = "pid-" + std::to_string(::getpid());
    std::ofstream out(path);
    std::minstd_rand random(static_cast<unsigned>(::getpid()));
    const auto until = now() + std::chrono::milliseconds(duration);
    while (now() < until) {
      const auto lease = locks_.try_acquire(request, {});
      if (lease) {
        const auto begin = now();
        lease_ = *lease;
        if (std::string done = work(random); done != "ok") return done;
        out << class_name << ' ' << lease->fence << ' ' << begin.time_since_epoch().count() << ' '
            << now().time_since_epoch().count() << '\n';
        if (const auto released = locks_.release(*lease, {}); !released) return answer(released);
        std::this_thread::sleep_for(std::chrono::milliseconds(random() % 600));
      } else if (lease.error().code != Errc::busy) {
        return to_string(lease.error());
      } else {
        std::this_thread::sleep_for(std::chrono::milliseconds(1 + random() % 5));
      }
    }
    return "ok";
  }
  /// Two commits with a renewal between them. Nobody's time is over here, so each must go through.
  std::string work(std::minstd_rand& random) {
    if (std::string done = commit(); done != "ok") return done + " at the first commit";
    std::this_thread::sleep_for(std::chrono::milliseconds(random() % 5));
    Lease lease = lease_;
    if (const auto renewed = locks_.renew(lease, "half", {}); !renewed)
      return to_string(renewed.error());
    if (std::string done = commit(); done != "ok") return done + " at the second commit";
    return "ok";
  }
  static std::chrono::steady_clock::time_point now() { return std::chrono::steady_clock::now(); }

  MetadataStore& index_;
  LockManager& locks_;
  const LockRequest request_;
  Lease lease_;
  std::uint64_t next_ = 1'000'000 + 100'000 * static_cast<std::uint64_t>(::getpid());
};

int fail(const Error& error) {
  std::cerr << to_string(error) << "\n";
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4 || argc > 5) return 2;
  const auto url = Url::parse(argv[1]);
  if (!url) return fail(url.error());
  const auto index = Backends::builtin().open_index(*url, {}, {});
  if (!index) return fail(index.error());
  const auto place = Url::parse(argc == 5 && *argv[4] != '\0' ? argv[4] : "mem:");
  if (!place) return fail(place.error());
  const auto locks = place->scheme() == "mem"
                         ? make_lock_manager(*(*index)->locks(), {})
                         : Backends::builtin().open_locks(*place, *(*index)->locks(), {}, {});
  if (!locks) return fail(locks.error());
  LockRequest request;
  request.element = argv[2];
  request.operation = "holder";
  request.ttl = std::chrono::milliseconds(std::atoi(argv[3]));
  Holder holder(**index, **locks, request);
  for (std::string word; std::getline(std::cin, word);) std::cout << holder.obey(word) << std::endl;
  return 0;
}
