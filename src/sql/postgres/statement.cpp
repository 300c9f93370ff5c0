// SPDX-License-Identifier: Apache-2.0
// PgStatement: parameters and rows of one statement.
#include <array>
#include <bit>
#include <cassert>
#include <charconv>
#include <cmath>
#include <limits>

#include "sql/postgres/handle.hpp"
#include "sql/postgres/wire.hpp"
#include "util/try.hpp"

namespace artcache::sql {
namespace {

std::uint64_t big_endian(std::string_view bytes) {
  std::uint64_t number = 0;
  for (const char c : bytes) number = number << 8 | static_cast<std::uint8_t>(c);
  return number;
}

/// infinity and -infinity become the last and the first moment there is.
std::int64_t to_unix(std::int64_t since_2000) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max() - kPostgresEpoch;
  return since_2000 > kMost ? std::numeric_limits<std::int64_t>::max()
                            : since_2000 + kPostgresEpoch;
}

}  // namespace

Statement& bind_time(Statement& statement, int parameter, std::int64_t micros) {
  const std::string bytes = time_bytes(micros);
  return statement.bind(parameter,
                        Bytes(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()));
}

PgStatement::Parameter& PgStatement::at(int parameter) {
  assert(parameter >= 0);
  const auto index = static_cast<std::size_t>(parameter);
  if (index >= parameters_.size()) parameters_.resize(index + 1);
  return parameters_[index];
}

Statement& PgStatement::bind(int parameter, std::int64_t number) {
  // As text, since the server knows best how wide the number is that it wants.
  at(parameter) = {Format::text, std::to_string(number)};
  return *this;
}

Statement& PgStatement::bind(int parameter, double number) {
  if (std::isnan(number)) return bind_null(parameter);
  std::array<char, 64> digits{};
  const auto [end, code] = std::to_chars(digits.data(), digits.data() + digits.size(), number);
  assert(code == std::errc());
  at(parameter) = {Format::text, std::string(digits.data(), end)};
  return *this;
}

Statement& PgStatement::bind(int parameter, std::string_view text) {
  // The binary format of a text is the text, and a NUL in it is refused instead of cutting it.
  at(parameter) = {Format::binary, std::string(text)};
  return *this;
}

Statement& PgStatement::bind(int parameter, Bytes bytes) {
  at(parameter) = {Format::binary,
                   std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size())};
  return *this;
}

Statement& PgStatement::bind_null(int parameter) {
  at(parameter) = {};
  return *this;
}

Result<void> PgStatement::execute() {
  Statement* const self = this;
  return connection_.run_all({&self, 1});
}

Result<bool> PgStatement::step() {
  if (result_ == nullptr) {
    if (auto done = execute(); !done) {
      reset();
      return std::move(done).error();
    }
  }
  if (++row_ < PQntuples(result_.get())) return true;
  reset();
  return false;
}

Result<std::int64_t> PgStatement::run() {
  if (result_ == nullptr) {
    if (auto done = execute(); !done) {
      reset();
      return std::move(done).error();
    }
  }
  const std::string_view changed = PQcmdTuples(result_.get());
  std::int64_t count = 0;
  std::from_chars(changed.data(), changed.data() + changed.size(), count);
  reset();
  return count;
}

void PgStatement::reset() {
  result_.reset();
  row_ = -1;
  parameters_.clear();
}

bool PgStatement::is_null(int column) const {
  return PQgetisnull(result_.get(), row_, column) != 0;
}

std::string_view PgStatement::text(int column) const {
  if (is_null(column)) return {};
  return {PQgetvalue(result_.get(), row_, column),
          static_cast<std::size_t>(PQgetlength(result_.get(), row_, column))};
}

Bytes PgStatement::blob(int column) const {
  const std::string_view bytes = text(column);
  return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
}

std::int64_t PgStatement::integer(int column) const {
  const std::string_view bytes = text(column);
  const std::uint64_t number = big_endian(bytes);
  switch (bytes.size()) {
    case 1:
      return static_cast<std::int8_t>(number);
    case 2:
      return static_cast<std::int16_t>(number);
    case 4:
      return static_cast<std::int32_t>(number);
    case 8: {
      const auto value = static_cast<std::int64_t>(number);
      const bool moment =
          PQftype(result_.get(), column) == static_cast<Oid>(PostgresType::timestamptz);
      return moment ? to_unix(value) : value;
    }
    default:
      return 0;
  }
}

double PgStatement::real(int column) const {
  return text(column).size() == 8 ? std::bit_cast<double>(big_endian(text(column)))
                                  : static_cast<double>(integer(column));
}

}  // namespace artcache::sql
