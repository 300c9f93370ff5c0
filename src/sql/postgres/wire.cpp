// SPDX-License-Identifier: Apache-2.0
#include "sql/postgres/wire.hpp"

#include <array>

namespace artcache::sql {

void put_big_endian(std::string& out, std::uint64_t number, unsigned bytes) {
  std::array<char, 8> all{};
  for (unsigned i = 0; i < all.size(); ++i) all[i] = static_cast<char>(number >> (56 - 8 * i));
  out.append(all.end() - bytes, bytes);
}

std::string time_bytes(std::int64_t micros) {
  std::string out;
  put_big_endian(out, static_cast<std::uint64_t>(micros - kPostgresEpoch), 8);
  return out;
}

PostgresFields& PostgresFields::bytes(std::string_view value) {
  put_big_endian(data_, value.size(), 4);
  data_.append(value);
  ++count_;
  return *this;
}

PostgresFields& PostgresFields::bytes(Bytes value) {
  return bytes(std::string_view(reinterpret_cast<const char*>(value.data()), value.size()));
}

PostgresFields& PostgresFields::null() {
  put_big_endian(data_, 0xffffffff, 4);
  ++count_;
  return *this;
}

PostgresFields& PostgresFields::number(std::int64_t value) {
  put_big_endian(data_, 8, 4);
  put_big_endian(data_, static_cast<std::uint64_t>(value), 8);
  ++count_;
  return *this;
}

PostgresFields& PostgresFields::small(std::int32_t value) {
  put_big_endian(data_, 4, 4);
  put_big_endian(data_, static_cast<std::uint32_t>(value), 4);
  ++count_;
  return *this;
}

PostgresFields& PostgresFields::truth(bool value) {
  return bytes(std::string_view(value ? "\1" : "\0", 1));
}

PostgresFields& PostgresFields::time(std::int64_t micros) {
  return number(micros - kPostgresEpoch);
}

std::string PostgresArray::bytes() const {
  std::string out;
  const std::uint32_t count = fields_.count();
  put_big_endian(out, count == 0 ? 0 : 1, 4);  // dimensions
  put_big_endian(out, 1, 4);                   // there may be NULLs
  put_big_endian(out, static_cast<std::uint32_t>(type_), 4);
  if (count > 0) {
    put_big_endian(out, count, 4);
    put_big_endian(out, 1, 4);  // the first index
    out.append(fields_.data());
  }
  return out;
}

void PostgresArray::bind(Statement& statement, int parameter) const {
  const std::string out = bytes();
  statement.bind(parameter, Bytes(reinterpret_cast<const std::uint8_t*>(out.data()), out.size()));
}

std::string_view copy_header() { return {"PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19}; }

std::string_view copy_trailer() { return "\377\377"; }

}  // namespace artcache::sql
