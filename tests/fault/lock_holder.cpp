// SPDX-License-Identifier: Apache-2.0
// A process that holds a lock and is treated badly by lock_fault_test. It does what it is told on
// stdin, one word a line, and answers each with a line on stdout:
//   acquire   takes the lock: "ok <fence>"
//   commit    one row more under the lease, without asking whether it still stands: "ok"
//   release   gives it back: "ok"
//   churn     acquires, commits and releases until it is killed; answers once, as it begins
// or with the name of the error. usage: artcache_lock_holder ADDRESS ELEMENT TTL_MS
#include <array>
#include <artcache/backends.hpp>
#include <artcache/lock_manager.hpp>
#include <artcache/metadata_store.hpp>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>

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

  MetadataStore& index_;
  LockManager& locks_;
  const LockRequest request_;
  Lease lease_;
  std::uint64_t next_ = 1'000'000;
};

int fail(const Error& error) {
  std::cerr << to_string(error) << "\n";
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const auto url = Url::parse(argv[1]);
  if (!url) return fail(url.error());
  const auto index = Backends::builtin().open_index(*url, {}, {});
  if (!index) return fail(index.error());
  const auto locks = make_lock_manager(*(*index)->locks(), {});
  if (!locks) return fail(locks.error());
  LockRequest request;
  request.element = argv[2];
  request.operation = "holder";
  request.ttl = std::chrono::milliseconds(std::atoi(argv[3]));
  Holder holder(**index, **locks, request);
  for (std::string word; std::getline(std::cin, word);) std::cout << holder.obey(word) << std::endl;
  return 0;
}
