// SPDX-License-Identifier: Apache-2.0
// PostgreSQL's binary formats: arrays as parameters, rows for COPY … (FORMAT binary).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sql/sql.hpp"

namespace artcache::sql {

/// Object ids of the types that are sent, fixed for all servers.
enum class PostgresType : std::uint32_t {
  boolean = 16,
  bytea = 17,
  int8 = 20,
  int4 = 23,
  text = 25,
  timestamptz = 1184,
  uuid = 2950,
};

/// Microseconds from 1970 to 2000, where PostgreSQL counts from.
inline constexpr std::int64_t kPostgresEpoch = 946684800000000;

/// Appends a number with its highest byte first.
void put_big_endian(std::string& out, std::uint64_t number, unsigned bytes);
/// A moment as the eight bytes of a timestamptz.
std::string time_bytes(std::int64_t micros);

/// Fields with their lengths, as in arrays and in the rows of COPY.
class PostgresFields {
 public:
  PostgresFields& bytes(std::string_view value);
  PostgresFields& bytes(Bytes value);
  PostgresFields& null();
  PostgresFields& number(std::int64_t value);  ///< int8
  PostgresFields& small(std::int32_t value);   ///< int4
  PostgresFields& truth(bool value);           ///< boolean
  PostgresFields& time(std::int64_t micros);   ///< timestamptz
  PostgresFields& maybe(const std::optional<std::string>& value) {
    return value ? bytes(std::string_view(*value)) : null();
  }
  [[nodiscard]] const std::string& data() const { return data_; }
  [[nodiscard]] std::string& data() { return data_; }
  [[nodiscard]] std::uint32_t count() const { return count_; }

 private:
  std::string data_;
  std::uint32_t count_ = 0;
};

/// One array with one dimension, for `unnest($1)` and `= ANY($1)`. Empty ones are allowed.
class PostgresArray {
 public:
  explicit PostgresArray(PostgresType type) : type_(type) {}
  [[nodiscard]] PostgresFields& add() { return fields_; }
  [[nodiscard]] bool empty() const { return fields_.count() == 0; }
  [[nodiscard]] std::string bytes() const;
  /// Binds it; the text is copied.
  void bind(Statement& statement, int parameter) const;

 private:
  PostgresType type_;
  PostgresFields fields_;
};

/// What COPY … (FORMAT binary) begins and ends with.
std::string_view copy_header();
std::string_view copy_trailer();

}  // namespace artcache::sql
