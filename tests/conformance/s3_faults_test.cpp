// SPDX-License-Identifier: Apache-2.0
// What a bucket does when its server fails, hangs, or breaks off: against servers that a test
// scripts. Signals have their default dispositions, so a SIGPIPE would end this test.
#include <atomic>

#include "conformance/s3_suite.hpp"
#include "support/scripted_http.hpp"

using namespace artcache;
using namespace artcache::test;
using namespace std::chrono_literals;

namespace {

const std::string kEmptyList =
    "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";

std::string error_xml(const std::string& code) {
  return "<Error><Code>" + code + "</Code><Message>hush</Message></Error>";
}

/// Lists nothing, and lets a test answer everything else.
ScriptedHttp::Script empty_bucket(ScriptedHttp::Script others) {
  return [others = std::move(others)](const HttpRequest& request) {
    if (request.target.find("list-type=2") != std::string::npos)
      return http_answer(200, kEmptyList);
    return others(request);
  };
}

std::unique_ptr<StorageBackend> open_on(const ScriptedHttp& server, const std::string& more = {}) {
  return open_bucket("s3://AK:hush@b/p?endpoint=" + server.origin() + "&retries=2" +
                     (more.empty() ? "&conditional=off" : more));
}

const std::string kFound = "etag: \"e\"\r\nlast-modified: Sat, 21 Nov 2026 07:00:00 GMT\r\n";

}  // namespace

TEST_SUITE("s3 faults") {
  TEST_CASE("SlowDown and 5xx are repeated, and the answer that comes then counts") {
    std::atomic<int> asked{0};
    const ScriptedHttp server(empty_bucket([&](const HttpRequest&) {
      const int n = ++asked;
      if (n == 1) return http_answer(503, error_xml("SlowDown"));
      if (n == 2) return http_answer(500, error_xml("InternalError"));
      return http_answer(200, "five!", kFound);
    }));
    const auto storage = open_on(server);
    CHECK(content(*storage, "a").value() == "five!");
    CHECK(asked == 3);
  }

  TEST_CASE("a server that goes on failing is unavailable, and says what became of a write") {
    std::atomic<int> asked{0};
    std::atomic<int> status{503};
    const ScriptedHttp server(empty_bucket([&](const HttpRequest&) {
      ++asked;
      return http_answer(status, error_xml("Busy"));
    }));
    const auto storage = open_on(server);
    const auto refused = storage->put({"a"}, std::string_view("x"), {});
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == Errc::unavailable);
    CHECK(refused.error().outcome == Outcome::not_applied);  // SlowDown says so
    CHECK(asked == 3);
    status = 500;
    const auto failed = storage->put({"a"}, std::string_view("x"), {});
    REQUIRE_FALSE(failed.has_value());
    CHECK(failed.error().outcome == Outcome::unknown);
    CHECK(failed.error().message.find("hush") == std::string::npos);
  }

  TEST_CASE("an answer that is cut off in mid-body is asked for again, never taken as whole") {
    std::atomic<int> asked{0};
    std::atomic<bool> mends{true};
    const ScriptedHttp server(empty_bucket([&](const HttpRequest&) {
      HttpAnswer answer = http_answer(200, std::string(50'000, 'x'), kFound);
      if (++asked == 1 || !mends) {
        answer.bytes.resize(answer.bytes.size() - 20'000);
        answer.then = HttpAnswer::Then::close;
      }
      return answer;
    }));
    const auto storage = open_on(server);
    CHECK(content(*storage, "a").value() == std::string(50'000, 'x'));
    CHECK(asked == 2);
    mends = false;
    const auto broken = content(*storage, "a");
    REQUIRE_FALSE(broken.has_value());
    CHECK(broken.error().code == Errc::unavailable);
    const SidecarsRead read = read_sidecars(*storage, {"a.attr.json"});
    CHECK(read.bytes.at(0).error().code == Errc::unavailable);
  }

  TEST_CASE("a server that hangs is timed_out at the deadline, in its head and in its body") {
    std::atomic<bool> silent{true};
    const ScriptedHttp server(empty_bucket([&](const HttpRequest&) {
      HttpAnswer answer = http_answer(200, std::string(1000, 'x'), kFound);
      answer.bytes.resize(silent ? 0 : answer.bytes.size() - 1);
      answer.then = HttpAnswer::Then::hang;
      return answer;
    }));
    const auto storage = open_on(server);
    const auto put = storage->put({"a"}, std::string_view("x"), Call().within(2s));
    REQUIRE_FALSE(put.has_value());
    CHECK(put.error().code == Errc::timed_out);
    CHECK(put.error().outcome == Outcome::unknown);
    silent = false;
    const auto opened = storage->open("a", {}, Call().within(2s));
    REQUIRE_FALSE(opened.has_value());
    CHECK(opened.error().code == Errc::timed_out);
  }

  TEST_CASE("connections that end without an answer are unavailable") {
    const ScriptedHttp server(empty_bucket([](const HttpRequest&) {
      return HttpAnswer{"", HttpAnswer::Then::close};
    }));
    const auto storage = open_on(server);
    const auto put = storage->put({"a"}, std::string(1 << 20, 'x'), {});
    REQUIRE_FALSE(put.has_value());
    CHECK(put.error().code == Errc::unavailable);
    CHECK(put.error().outcome == Outcome::unknown);
  }

  TEST_CASE("a new file is put once, also when a kept connection ends without an answer") {
    for (const std::string body : {"x", ""}) {
      std::atomic<int> puts{0};
      const ScriptedHttp server(empty_bucket([&](const HttpRequest& request) {
        if (request.target.find("other") != std::string::npos)
          return http_answer(200, "five!", kFound);
        if (request.method != "PUT") return http_answer(404);
        // The first is done, and its answer lost; the second would meet it.
        HttpAnswer answer = http_answer(412, error_xml("PreconditionFailed"));
        if (++puts == 1) answer = {"", HttpAnswer::Then::close};
        return answer;
      }));
      const auto storage = open_on(server, "&conditional=on");
      CHECK(content(*storage, "other").value() == "five!");  // its connection is kept
      const auto put = storage->put({"a", PutMode::must_not_exist}, std::string_view(body), {});
      REQUIRE_FALSE(put.has_value());
      CHECK(put.error().code == Errc::unavailable);
      CHECK(put.error().outcome == Outcome::unknown);
      CHECK(puts == 1);
    }
  }

  TEST_CASE("what is no HTTP is refused, and so is an endless body") {
    std::atomic<bool> endless{false};
    const ScriptedHttp server([&](const HttpRequest&) {
      if (!endless) return HttpAnswer{"SSH-2.0-x\r\n\r\n", HttpAnswer::Then::close};
      return http_answer(200, std::string(9 << 20, 'x'));
    });
    const Url url = good(Url::parse("s3://b?retries=0&endpoint=" + server.origin()));
    CHECK_FALSE(Backends::builtin().open_storage(url, {}, {}).has_value());
    endless = true;
    const auto opened = Backends::builtin().open_storage(url, {}, {});
    REQUIRE_FALSE(opened.has_value());
    CHECK(opened.error().code == Errc::corrupt);
  }

  TEST_CASE("whether the server decides about new files is found out; 501 means that it does not") {
    std::atomic<int> refusal{501};
    const ScriptedHttp server(empty_bucket([&](const HttpRequest& request) {
      if (request.headers.find("if-none-match") != std::string::npos)
        return http_answer(refusal, error_xml("x"));
      return http_answer(200, "", kFound);
    }));
    CHECK_FALSE(open_on(server, "&conditional=auto")->capabilities().exclusive_put);
    refusal = 412;
    CHECK(open_on(server, "&conditional=auto")->capabilities().exclusive_put);
    refusal = 403;
    CHECK_FALSE(open_on(server, "&conditional=auto")->capabilities().exclusive_put);
  }

  TEST_CASE("each refusal is an error of its own that says what to do") {
    struct Refusal {
      int status;
      const char* code;
      Errc errc;
      const char* advice;
    };
    std::atomic<const Refusal*> now{nullptr};
    const ScriptedHttp server(empty_bucket([&](const HttpRequest&) {
      return http_answer(now.load()->status, error_xml(now.load()->code));
    }));
    const auto storage = open_on(server);
    for (const Refusal& refusal :
         {Refusal{403, "InvalidAccessKeyId", Errc::unavailable, "access key is not known"},
          Refusal{403, "SignatureDoesNotMatch", Errc::unavailable, "secret key is wrong"},
          Refusal{400, "ExpiredToken", Errc::unavailable, "expired"},
          Refusal{403, "RequestTimeTooSkewed", Errc::unavailable, "clocks"},
          Refusal{403, "UserSuspended", Errc::unavailable, "suspended"},
          Refusal{403, "AccessDenied", Errc::unavailable, "permission"},
          Refusal{404, "NoSuchBucket", Errc::not_found, "create it first"},
          Refusal{403, "QuotaExceeded", Errc::no_space, "quota"},
          Refusal{507, "", Errc::no_space, "full"},
          Refusal{301, "PermanentRedirect", Errc::invalid_argument, "elsewhere"}}) {
      CAPTURE(refusal.code);
      now = &refusal;
      const auto put = storage->put({"a"}, std::string_view("x"), {});
      REQUIRE_FALSE(put.has_value());
      CHECK(put.error().code == refusal.errc);
      CHECK(put.error().outcome == Outcome::not_applied);
      CHECK(put.error().message.find(refusal.advice) != std::string::npos);
      CHECK(put.error().message.find("hush") == std::string::npos);
    }
  }

  TEST_CASE("the token of temporary keys goes along, signed") {
    std::atomic<bool> sent{false};
    const ScriptedHttp server([&](const HttpRequest& request) {
      if (request.headers.find("x-amz-security-token: tok/en=") != std::string::npos &&
          request.headers.find("x-amz-date;x-amz-security-token") != std::string::npos)
        sent = true;
      return http_answer(200, kEmptyList);
    });
    open_bucket("s3://AK:hush@b?conditional=off&session_token=tok%2Fen%3D&endpoint=" +
                server.origin());
    CHECK(sent);
  }
}
