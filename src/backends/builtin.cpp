// SPDX-License-Identifier: Apache-2.0
// What this build has: the only file that knows all backends.
#include <artcache/backends.hpp>
#include <artcache/http_log.hpp>
#include <artcache/lock_manager.hpp>
#include <artcache/metadata_store.hpp>
#include <artcache/storage_backend.hpp>
#include <string>

#include "backends/file/storage.hpp"
#include "backends/memory/storage.hpp"
#include "backends/sqlite/index.hpp"
#if ARTCACHE_WITH_POSTGRES
#include "backends/postgres/index.hpp"
#endif
#if ARTCACHE_WITH_HTTP
#include "backends/http/log_source.hpp"
#endif
#if ARTCACHE_WITH_REDIS
#include "backends/redis/lock_store.hpp"
#endif
#if ARTCACHE_WITH_S3
#include "backends/s3/storage.hpp"
#endif

namespace artcache {
namespace {

struct Optional {
  const char* scheme;
  bool compiled_in;
  const char* option;
};

constexpr Optional kOptional[] = {
    {"s3", ARTCACHE_WITH_S3 != 0, "ARTCACHE_WITH_S3"},
    {"postgresql", ARTCACHE_WITH_POSTGRES != 0, "ARTCACHE_WITH_POSTGRES"},
    {"redis", ARTCACHE_WITH_REDIS != 0, "ARTCACHE_WITH_REDIS"},
    {"rediss", ARTCACHE_WITH_REDIS != 0, "ARTCACHE_WITH_REDIS"},
};

}  // namespace

Backends Backends::builtin() {
  Backends all;
  // The schemes are this function's own: none of them can be taken already.
  (void)all.add_storage("file", [](const Url& url, const Deps& deps, const Call& call) {
    return file::open_storage(url, deps, call);
  });
  (void)all.add_storage("mem", memory::open_storage);
  for (const char* scheme : {"sqlite", "mem"})
    (void)all.add_index(scheme, [](const Url& url, const Deps& deps, const Call& call) {
      return sqlite::open_index(url, deps, call);
    });
  (void)all.add_migration("sqlite", sqlite::migrate_index);
#if ARTCACHE_WITH_POSTGRES
  (void)all.add_migration("postgresql", postgres::migrate_index);
  (void)all.add_index("postgresql", [](const Url& url, const Deps& deps, const Call& call) {
    return postgres::open_index(url, deps, call);
  });
#endif
  for (const Optional& backend : kOptional)
    (void)all.add_left_out(
        backend.scheme,
        backend.compiled_in
            ? std::string("is no address of this kind")
            : std::string("is not compiled in; build artcache with -D") + backend.option + "=ON");
  for (const char* scheme : {"http", "https"})
    (void)all.add_left_out(scheme, "is where a log is followed, and nothing else");
#if ARTCACHE_WITH_REDIS
  for (const char* scheme : {"redis", "rediss"})
    (void)all.add_locks(scheme,
                        [](const Url& url, LockStore& index, const Deps& deps, const Call& call) {
                          return redis::open_locks(url, index, deps, call);
                        });
#endif
#if ARTCACHE_WITH_S3
  (void)all.add_storage("s3", s3::open_storage);
#endif
  return all;
}

Result<std::unique_ptr<LogSource>> open_http_log(const HttpLogSettings& settings,
                                                 const Deps& deps) {
#if ARTCACHE_WITH_HTTP
  return http_log::open(settings, deps);
#else
  (void)settings, (void)deps;
  return Error{Errc::unsupported,
               "log: HTTP is not compiled in; build artcache with -DARTCACHE_WITH_HTTP=ON"};
#endif
}

}  // namespace artcache
