// SPDX-License-Identifier: Apache-2.0
// The scripts that read and write the locks of an element: one that does all, and two short ones
// for the usual case, since what a script costs is its own lines more than what it calls.
#pragma once

#include <string_view>

namespace artcache::redis {

/// KEYS: the four classes from the highest to the lowest, then the waiters, then the last fence of
/// a grant by this script: with it no two states look alike, though the locks are free again in
/// between; grants by kTakeScript leave free what they found free and put nobody out. Waiters
/// are not looked at: they come and go all the time, and who comes a moment later waits a moment
/// more. ARGV: what was seen, as looks_like() has it, or '' to read alone; the time it was decided
/// for in microseconds, or ''; then edits: 'remove' fence, 'put' class fence text life_ms,
/// 'forget' field, 'wait' field text life_ms.
/// Answers: 1 when it has written, else 0; the last fence, or '-'; seconds and microseconds
/// of the server; class, fence, text of each holder; field, text of each waiter. Or the name of a
/// key that is no lock of ours.
inline constexpr std::string_view kLockScript = R"lua(
local held, waiters, last = {{}, {}, {}, {}}, {}, nil

local function load(key)
  local flat, fields = redis.pcall('HGETALL', key), {}
  if flat['err'] then
    if redis.call('TYPE', key)['ok'] ~= 'hash' then return nil end
    return redis.call('HGETALL', key)
  end
  for i = 1, #flat, 2 do fields[flat[i]] = flat[i + 1] end
  return fields
end

local function flat_of(fields, out, before)
  local names = {}
  for name in pairs(fields) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    if before then out[#out + 1] = before end
    out[#out + 1] = name
    out[#out + 1] = fields[name]
  end
end

local function holders_now()
  local holders = {}
  for k = 1, 4 do
    if next(held[k]) then flat_of(held[k], holders, tostring(k)) end
  end
  return holders
end

local function looks_like(holders)
  local parts = {last}
  for _, text in ipairs(holders) do parts[#parts + 1] = #text .. ' ' .. text end
  return table.concat(parts, ' ')
end

local function put(key, fields, name, text, life)
  local is_new, alone = redis.call('HSET', key, name, text) == 1, true
  fields[name] = text
  for other in pairs(fields) do alone = alone and other == name end
  if alone or redis.call('PTTL', key) < tonumber(life) then redis.call('PEXPIRE', key, life) end
  return is_new
end

local there = redis.call('EXISTS', KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5])
for k = 1, 5 do
  if there == 0 then break end
  local fields = load(KEYS[k])
  if not fields then return KEYS[k] end
  if next(fields) then there = there - 1 end
  if k < 5 then held[k] = fields else waiters = fields end
end
last = redis.call('GET', KEYS[6]) or '-'

local holders = holders_now()
local time = redis.call('TIME')
local done = 0
if ARGV[1] ~= '' and ARGV[1] == looks_like(holders) then
  done = 1
  if ARGV[2] ~= '' then
    local off = (tonumber(time[1]) * 1000000 + tonumber(time[2])) - tonumber(ARGV[2])
    if off > 500000 or off < -500000 then done = 0 end
  end
end
if done == 1 and #ARGV > 2 then
  local i = 3
  while i <= #ARGV do
    local what, name = ARGV[i], ARGV[i + 1]
    if what == 'remove' then
      for k = 1, 4 do
        if held[k][name] then redis.call('HDEL', KEYS[k], name) end
        held[k][name] = nil
      end
      i = i + 2
    elseif what == 'put' then
      local k, fence = tonumber(name), ARGV[i + 2]
      if put(KEYS[k], held[k], fence, ARGV[i + 3], ARGV[i + 4]) then
        redis.call('SET', KEYS[6], fence, 'PX', '86400000')
        last = fence
      end
      i = i + 5
    elseif what == 'forget' then
      redis.call('HDEL', KEYS[5], name)
      waiters[name] = nil
      i = i + 2
    else
      put(KEYS[5], waiters, name, ARGV[i + 2], ARGV[i + 3])
      i = i + 4
    end
  end
  holders = holders_now()
end
local waiting = {}
flat_of(waiters, waiting)
return {done, last, time[1], time[2], holders, waiting}
)lua";

/// A grant where nobody holds or waits, and nobody is put out; one script for each class of each
/// element, made by putting texts where $n stands: the names of the keys, the usual life, the key
/// of the wanted class. To a server each word that comes with a call is as much as a line of the
/// script, so there are no KEYS. ARGV: fence, text; then the life in milliseconds, or '' for the
/// usual one; the last fence, or '' where there is none; where it is to be compared, the time it
/// was decided for in microseconds. What is left out at the end costs nothing. Answers: 1; or 0,
/// with nothing done, where there is more.
inline constexpr std::string_view kTakeScript = R"lua(
local call, args = redis.call, ARGV
local last = args[4] or ''
if call('EXISTS', $1, $2, $3, $4, $5, last == '' and $6 or $5) ~= 0 then return 0 end
if last ~= '' and call('GET', $6) ~= last then return 0 end
if args[5] then
  local time = call('TIME')
  local off = time[1] * 1000000 + time[2] - args[5]
  if off > 500000 or off < -500000 then return 0 end
end
call('HSET', $8, args[1], args[2])
if (args[3] or '') == '' then call('PEXPIRE', $8, $7) else call('PEXPIRE', $8, args[3]) end
return 1
)lua";

}  // namespace artcache::redis
