// SPDX-License-Identifier: Apache-2.0
// The one script that reads and writes the locks of an element.
#pragma once

#include <string_view>

namespace artcache::redis {

/// KEYS: the four classes from the highest to the lowest, then the waiters, then the fence granted
/// last: with it no two states have one sum, though the locks are free again in between. Waiters
/// are not in the sum: they come and go all the time, and who comes a moment later waits a moment
/// more. ARGV: the sum of what was seen, or '' to read alone; the time it was decided for in
/// microseconds, or ''; then edits: 'remove' fence, 'put' class fence text life_ms,
/// 'forget' field, 'wait' field text life_ms.
/// Answers: 1 when it has written, else 0; the sum now; seconds and microseconds of the server;
/// class, fence, text of each holder; field, text of each waiter. Or the name of a key that is no
/// lock of ours.
inline constexpr std::string_view kLockScript = R"lua(
local function load(key)
  local kind = redis.call('TYPE', key)['ok']
  if kind == 'none' then return {} end
  if kind ~= 'hash' then return nil end
  local flat, names, by_name = redis.call('HGETALL', key), {}, {}
  for i = 1, #flat, 2 do
    names[#names + 1] = flat[i]
    by_name[flat[i]] = flat[i + 1]
  end
  table.sort(names)
  local out = {}
  for _, name in ipairs(names) do
    out[#out + 1] = name
    out[#out + 1] = by_name[name]
  end
  return out
end

local function state()
  local parts, holders, waiters = {}, {}, {}
  for k = 1, 5 do
    local all = load(KEYS[k])
    if not all then return nil, KEYS[k] end
    for i = 1, #all, 2 do
      local list = waiters
      if k < 5 then
        parts[#parts + 1] = k .. ' ' .. all[i] .. ' ' .. #all[i + 1] .. ' ' .. all[i + 1]
        list = holders
        list[#list + 1] = tostring(k)
      end
      list[#list + 1] = all[i]
      list[#list + 1] = all[i + 1]
    end
  end
  parts[#parts + 1] = redis.call('GET', KEYS[6]) or '-'
  return {redis.sha1hex(table.concat(parts, ' ')), holders, waiters}
end

local function live(key, life)
  local left = redis.call('PTTL', key)
  if redis.call('HLEN', key) == 1 or left < tonumber(life) then
    redis.call('PEXPIRE', key, life)
  end
end

local seen, key = state()
if not seen then return key end
local time = redis.call('TIME')
local done = 0
if ARGV[1] == seen[1] then
  done = 1
  if ARGV[2] ~= '' then
    local off = (tonumber(time[1]) * 1000000 + tonumber(time[2])) - tonumber(ARGV[2])
    if off > 500000 or off < -500000 then done = 0 end
  end
end
if done == 1 and #ARGV > 2 then
  local i = 3
  while i <= #ARGV do
    local what = ARGV[i]
    if what == 'remove' then
      for k = 1, 4 do redis.call('HDEL', KEYS[k], ARGV[i + 1]) end
      i = i + 2
    elseif what == 'put' then
      local at = KEYS[tonumber(ARGV[i + 1])]
      if redis.call('HSET', at, ARGV[i + 2], ARGV[i + 3]) == 1 then
        redis.call('SET', KEYS[6], ARGV[i + 2], 'PX', 86400000)
      end
      live(at, ARGV[i + 4])
      i = i + 5
    elseif what == 'forget' then
      redis.call('HDEL', KEYS[5], ARGV[i + 1])
      i = i + 2
    else
      redis.call('HSET', KEYS[5], ARGV[i + 1], ARGV[i + 2])
      live(KEYS[5], ARGV[i + 3])
      i = i + 4
    end
  end
  seen = state()
end
return {done, seen[1], time[1], time[2], seen[2], seen[3]}
)lua";

}  // namespace artcache::redis
