// SPDX-License-Identifier: Apache-2.0
#include "roles/element/discovery.hpp"

#include <array>
#include <string>
#include <utility>

#include "common/discovery_names.hpp"
#include "util/try.hpp"

namespace artcache::element {
namespace {

/// Who has a key is remembered in a set, since a search for the keys would read the whole database.
/// A name in it whose key is gone leaves it. All elements together are known as long as the last of
/// them, so that nobody is found there whose own key has ended for good. KEYS: its key, all
/// elements, the set. ARGV: id, JSON (empty: it goes away), seconds, the prefix of the keys, time,
/// action, channel, more for the channel.
constexpr std::string_view kAnnounce = R"lua(
if ARGV[2] == '' then
  redis.call('DEL', KEYS[1])
  redis.call('SREM', KEYS[3], ARGV[1])
else
  redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
  redis.call('SADD', KEYS[3], ARGV[1])
end
local ids = redis.call('SMEMBERS', KEYS[3])
table.sort(ids)
local all, life = {}, tonumber(ARGV[3])
for _, id in ipairs(ids) do
  local one = redis.call('GET', ARGV[4] .. id)
  if one then
    all[#all + 1] = one
    life = math.max(life, redis.call('TTL', ARGV[4] .. id))
  else
    redis.call('SREM', KEYS[3], id)
  end
end
local before = redis.call('GET', KEYS[2]) or ''
local version = tonumber(string.match(before, '"version":%s*(%d+)') or '0') + 1
local head = string.format('"version":%d,"timestamp":"%s","count":%d', version, ARGV[5], #all)
redis.call('SET', KEYS[2],
  '{' .. head .. ',"storage_elements":[' .. table.concat(all, ',') .. ']}', 'EX', life)
redis.call('PUBLISH', ARGV[7], '{"event":"storage_element_config_updated","action":"' .. ARGV[6]
  .. '",' .. head .. ',' .. ARGV[8] .. '}')
return #all
)lua";

const redis::Script& script() {
  static const redis::Script announce(kAnnounce);
  return announce;
}

class RedisRegistrar final : public Registrar {
 public:
  RedisRegistrar(redis::Options options, std::chrono::seconds life, Metrics& metrics,
                 const Clock& clock)
      : client_(std::move(options)), life_(life), metrics_(metrics), clock_(clock) {}

  [[nodiscard]] std::string name() const override { return "redis"; }
  Result<void> announce(const Announcement& said, const Call& call) override {
    return run(said, to_json(said), call);
  }
  Result<void> withdraw(const Announcement& last, const Call& call) override {
    return run(last, {}, call);
  }

 private:
  Result<void> run(const Announcement& said, const std::string& json, const Call& call) {
    const auto begun = clock_.steady();
    const std::string& id = said.settings->id;
    const std::string key = std::string(kElementKey) + id, life = std::to_string(life_.count()),
                      at = to_string(said.at, TimestampStyle::zulu);
    std::string about = "\"storage_element_id\":";
    append_json_string(about, id);
    about += ",\"storage_element_name\":";
    append_json_string(about, said.settings->display_name);
    const std::array<std::string_view, 11> words{
        key, kElementsKey, kElementIdsKey,    id,   json, life, kElementKey,
        at,  said.action,  kDiscoveryChannel, about};
    const auto done = client_.run(script(), 3, words, call);
    const std::array labels{MetricLabel{"storage_element_id", id},
                            MetricLabel{"mode", to_string(said.mode)},
                            MetricLabel{"status", done ? "success" : "failure"}};
    metrics_.count("storage_redis_publish_total", labels, 1);
    metrics_.observe("storage_redis_publish_duration_seconds", std::span(labels).first(2),
                     std::chrono::duration<double>(clock_.steady() - begun).count());
    if (!done) return done.error();
    return {};
  }

  redis::Client client_;
  const std::chrono::seconds life_;
  Metrics& metrics_;
  const Clock& clock_;
};

}  // namespace

std::unique_ptr<Registrar> make_redis_registrar(redis::Options options, std::chrono::seconds life,
                                                Metrics& metrics, const Clock& clock) {
  return std::make_unique<RedisRegistrar>(std::move(options), life, metrics, clock);
}

}  // namespace artcache::element
