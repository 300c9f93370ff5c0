// SPDX-License-Identifier: Apache-2.0
// Makes the index follow one sidecar, and ends intents.
#pragma once

#include <artcache/backends.hpp>
#include <artcache/file_service.hpp>
#include <artcache/metadata_store.hpp>
#include <artcache/storage_backend.hpp>
#include <string>
#include <string_view>

#include "core/files/protocol.hpp"

namespace artcache::files {

/// What all operations on one element share.
struct Place {
  StorageBackend& storage;
  MetadataStore& index;
  const FileSettings& settings;
  const Deps deps;

  [[nodiscard]] Timestamp now() const { return deps.clock->now(); }
  [[nodiscard]] Freshness fresh() const {
    return {now(), settings.ttl_hours.value_or(default_ttl_hours(settings.mode))};
  }
};

std::string sidecar_of(std::string_view data_path);

/// The index says what this sidecar says, and once it is gone nothing that came from it; whatever
/// others do meanwhile, nothing older wins. Where it tells of another file than `id`, or than when
/// it was read last, nothing of that stays under the other id. Another sidecar of an id that is
/// known takes the place of one that is gone or tells of another. May be repeated where it was cut
/// short. `fence` 0: under none. Errors: those of storage and index; busy when others change it
/// without an end.
Result<SidecarSeen> follow(const Place& place, const FileId& id, const std::string& sidecar,
                           std::uint64_t fence, const Call& call);

enum class Settled : std::uint8_t { completed, undone, given_up };
enum class IntentThen : std::uint8_t { ends, stays };
/// Settles, and ends, an intent whose writer is dead or has given up. May be repeated at every
/// point. Errors: as follow(); the intent is still there then.
Result<Settled> settle(const Place& place, const Intent& intent, std::uint64_t fence,
                       const Call& call, IntentThen then = IntentThen::ends);

Result<void> end_intent(const Place& place, const FileId& id, std::uint64_t fence,
                        const Call& call);

}  // namespace artcache::files
