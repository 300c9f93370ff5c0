// SPDX-License-Identifier: Apache-2.0
#include "http/parser.hpp"

#include <doctest/doctest.h>

#include <string>

namespace artcache::http {
namespace {

const std::string kHead = "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";

TEST_SUITE("http parser") {
  TEST_CASE("[G12] a body in chunks may come byte by byte, its end too") {
    for (const std::string chunks : {"0\r\n\r\n", "00;x=y\r\n\r\n", "0\r\nTrailer: x\r\n\r\n",
                                     "3\r\nabc\r\n0\r\n\r\n", "1\r\n0\r\n02\r\n00\r\n0\r\n\r\n"}) {
      CAPTURE(chunks);
      RequestParser parser({});
      RequestParser::Pieces pieces;
      REQUIRE(parser.give(kHead, pieces) == kHead.size());
      std::string body, waiting;
      for (const char byte : chunks) {
        CHECK_FALSE(parser.body_done());
        waiting += byte;
        while (true) {
          pieces.clear();
          const std::size_t taken = parser.give(waiting, pieces);
          for (const std::string_view piece : pieces) body += piece;
          waiting.erase(0, taken);
          if (taken == 0 || waiting.empty()) break;
        }
      }
      CHECK(parser.body_done());
      CHECK_FALSE(parser.refusal().has_value());
      CHECK(waiting.empty());
      CHECK(body == (chunks[0] == '3' ? "abc" : chunks[0] == '1' ? "000" : ""));
    }
  }
}

}  // namespace
}  // namespace artcache::http
