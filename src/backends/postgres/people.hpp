// SPDX-License-Identifier: Apache-2.0
// The columns that people read and edit, where they differ from what an entry holds.
#pragma once

#include <array>
#include <artcache/content.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sql/sql.hpp"

namespace artcache::postgres {

/// Tokens as the text of a tsvector: names weigh A, tags B, the rest D.
std::string vector_text(const SearchTokens& tokens);
/// The same in the binary form of a tsvector.
std::string vector_bytes(const SearchTokens& tokens);

/// The JSON when jsonb can hold it, else nothing: jsonb knows no U+0000 and no huge exponents.
std::optional<std::string> people_json(std::string_view json);
/// The same in the binary form of a jsonb.
std::optional<std::string> jsonb_bytes(std::string_view json);

/// Texts as the literal of a text[]; nothing for none.
std::optional<std::string> array_literal(const std::vector<std::string>& texts);
/// The same in the binary form of an array.
std::optional<std::string> array_bytes(const std::vector<std::string>& texts);

/// What read_people_columns() reads, of {p}files f.
inline constexpr std::array<std::string_view, 18> kPeopleColumns{"f.original_filename",
                                                                 "f.storage_filename",
                                                                 "f.storage_path",
                                                                 "f.file_size",
                                                                 "f.content_type",
                                                                 "f.created_at",
                                                                 "f.updated_at",
                                                                 "f.created_by_id",
                                                                 "f.created_by_username",
                                                                 "f.created_by_fullname",
                                                                 "f.description",
                                                                 "f.version",
                                                                 "f.checksum",
                                                                 "array_to_json(f.tags)::text",
                                                                 "f.retention_policy",
                                                                 "f.ttl_days",
                                                                 "f.retention_expires_at",
                                                                 "f.metadata_json::text"};
/// An entry made of them, for a row that was made by hand or adopted: what cannot be understood is
/// left empty, since the next rebuild replaces it.
FileEntry read_people_columns(const sql::Statement& statement, int first);

}  // namespace artcache::postgres
