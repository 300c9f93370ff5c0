// SPDX-License-Identifier: Apache-2.0
// The examples of "Signature Calculations for the Authorization Header" of the S3 documentation.
#include "backends/s3/signer.hpp"

#include <doctest/doctest.h>

namespace artcache::s3 {
namespace {

const Credentials kExample{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"};
constexpr std::string_view kEmpty =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
constexpr std::string_view kDate = "20130524T000000Z";

std::string signature(std::string_view method, std::string_view path, std::string_view query,
                      Headers headers, std::string_view hash) {
  headers.emplace_back("host", "examplebucket.s3.amazonaws.com");
  headers.emplace_back("x-amz-content-sha256", hash);
  headers.emplace_back("x-amz-date", kDate);
  const std::string all =
      authorization({method, path, query, std::move(headers), hash}, kExample, "us-east-1", kDate);
  return all.substr(all.find("Signature=") + 10);
}

}  // namespace

TEST_SUITE("s3 signer") {
  TEST_CASE("the published requests get the published signatures") {
    CHECK(signature("GET", "/test.txt", "", {{"range", "bytes=0-9"}}, kEmpty) ==
          "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
    CHECK(signature("PUT", "/" + encode("test$file.text", Slash::kept), "",
                    {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
                     {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
                    "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072") ==
          "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
    CHECK(signature("GET", "/", encode(Query{{"lifecycle", ""}}), {}, kEmpty) ==
          "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
    CHECK(signature("GET", "/", encode(Query{{"prefix", "J"}, {"max-keys", "2"}}), {}, kEmpty) ==
          "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
  }

  TEST_CASE("only unreserved characters stay as they are") {
    CHECK(encode("a b+c%/ё~", Slash::kept) == "a%20b%2Bc%25/%D1%91~");
    CHECK(encode("a/b", Slash::encoded) == "a%2Fb");
  }

  TEST_CASE("the date is written without marks") {
    CHECK(amz_date(Timestamp::parse("2013-05-24T00:00:00.5Z").value()) == kDate);
  }
}

}  // namespace artcache::s3
