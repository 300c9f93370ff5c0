// SPDX-License-Identifier: Apache-2.0
// The golden sidecars beside this file, and entries to play with.
#pragma once

#include <doctest/doctest.h>

#include <artcache/file_entry.hpp>
#include <artcache/result.hpp>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace artcache::test {

/// Name without the ending -> bytes, of every vector there is.
const std::map<std::string, std::string>& vectors();

/// The vector of this name.
const std::string& vector(std::string_view name);

/// The rows (field, value) of the table of expectations, by vector.
using ExpectedRows = std::vector<std::pair<std::string, std::string>>;
const std::map<std::string, ExpectedRows>& expected();

/// What decode() says; the test fails when that is an error.
FileEntry decoded(std::string_view bytes);

/// The message of the error that decode() answers; empty when it answers none.
std::string decode_error(std::string_view bytes);

/// A v1 sidecar, all members present, with the value of `member` replaced by `json`, or the member
/// added in front of the others.
std::string with(std::string_view member, std::string_view json);
/// The same without the member.
std::string without(std::string_view member);

/// ARTCACHE_SEED, or a random number. To be shown with INFO, so that a failure can be repeated.
std::uint64_t test_seed();

/// Random entries: every optional field with and without a value, all kinds of text.
class RandomEntry {
 public:
  explicit RandomEntry(std::uint64_t seed) : random_(seed) {}
  FileEntry next();
  /// From 0 to most.
  std::size_t number(std::size_t most);
  std::string text(std::size_t characters_most);
  /// A JSON object without white space.
  std::string object(unsigned depth);

 private:
  bool coin() { return number(1) == 0; }
  std::string character();
  std::string value(unsigned depth);
  std::string unknown_members();
  Timestamp time();

  std::mt19937_64 random_;
};

}  // namespace artcache::test
