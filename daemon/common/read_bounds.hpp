// SPDX-License-Identifier: Apache-2.0
// What the query of a read says about how old the answer may be.
#pragma once

#include <array>
#include <artcache/read_bound.hpp>
#include <string_view>
#include <vector>

#include "http/query_fields.hpp"
#include "http/site.hpp"

namespace artcache {

/// Of the index: no change behind it is in the answer.
inline constexpr std::string_view kPositionHeader = "X-Artcache-Position";

/// For the routes that keep them.
inline constexpr std::array kBoundFields{
    http::QueryField{"min_position", "string",
                     "epoch/seq/digest: refused unless every change up to there is seen"},
    http::QueryField{"max_staleness", "number",
                     "seconds: refused unless all that was there so long before is seen"}};

/// For the routes that send the bytes of a file.
inline constexpr auto kDownloadFields = http::joined(
    std::array{http::QueryField{"verify", "boolean",
                                "the file is compared with its checksum on the way: where it is "
                                "another one the answer breaks off before its end"}},
    kBoundFields);

/// `min_position` and `max_staleness`, in seconds. What is wrong joins the problems.
ReadBound read_bound(const http::Pairs& query, std::vector<http::FieldProblem>& problems);

}  // namespace artcache
