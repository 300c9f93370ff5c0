// SPDX-License-Identifier: Apache-2.0
#include "auth/keys.hpp"

#include <doctest/doctest.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "auth/verifier.hpp"
#include "support/kept_log.hpp"
#include "support/temp_dir.hpp"
#include "tokens.hpp"

namespace artcache::auth {
namespace {

namespace fs = std::filesystem;

void write(const std::string& path, std::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
}

/// What a library does that lets the token choose: the public key as the secret of an HMAC.
std::string signed_with_hmac(std::string_view header, std::string_view payload,
                             const std::string& secret) {
  const std::string text = joined(header, payload);
  std::array<std::uint8_t, EVP_MAX_MD_SIZE> mac{};
  unsigned size = 0;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const std::uint8_t*>(text.data()), text.size(), mac.data(), &size);
  return text + "." + base64url(std::span(mac).first(size));
}

struct Bench {
  test::FakeClock clock;
  KeyRing ring;
  Verifier verifier;

  explicit Bench(VerifierOptions options = {}) : verifier(ring, clock, std::move(options)) {
    REQUIRE(ring.set({our_key().public_key()}));
  }
  [[nodiscard]] std::string token() const {
    return must(mint(sample_claims(clock.now()), our_key()));
  }
};

}  // namespace

TEST_SUITE_BEGIN("keys");

TEST_CASE("a key has one id, wherever it comes from") {
  const std::string& id = our_key().public_key().id();
  CHECK(id.size() == 43);
  CHECK(must(PublicKey::from_pem(our_key().public_key().pem())).id() == id);
  CHECK(must(PrivateKey::from_pem(our_key().pem())).public_key().id() == id);
  CHECK(other_key().public_key().id() != id);
}

TEST_CASE("the id of a key is the thumbprint of RFC 7638") {
  // The key of section 3.1.
  const PublicKey key =
      must(PublicKey::from_pem("-----BEGIN PUBLIC KEY-----\n"
                               "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA0vx7agoebGcQSuuPiLJX\n"
                               "ZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tS\n"
                               "oc/BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ/2W+5JsGY4Hc5n9yBXArwl93lqt\n"
                               "7/RN5w6Cf0h4QyQ5v+65YGjQR0/FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0\n"
                               "zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt+bFTWhAI4vMQFh6WeZu0f\n"
                               "M4lFd2NcRwr3XPksINHaQ+G/xBniIqbw0Ls1jF44+csFCur+kEgU8awapJzKnqDK\n"
                               "gwIDAQAB\n-----END PUBLIC KEY-----\n"));
  CHECK(key.id() == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
  CHECK(key.exponent() == "AQAB");
}

TEST_CASE("what is no public RSA key of a sound length is refused") {
  for (const std::string& pem :
       {std::string(), std::string("key"), our_key().pem(),
        std::string("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"),
        // P-256, then RSA of 1024 bits.
        std::string("-----BEGIN PUBLIC KEY-----\n"
                    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEcBzGjqolAGhMbYhv6pwtTZJT+RbO\n"
                    "w5ARGEtiid7OacsDPCRq26w7/DSr3830K59CsMjph3tAcJ8eHlYqDjpFMw==\n"
                    "-----END PUBLIC KEY-----\n"),
        std::string("-----BEGIN PUBLIC KEY-----\n"
                    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDLfDs46z+tH4hv8zg+iQevWmK3\n"
                    "tuZDmD0xs+3aWo4iMkszOTfux5+I/oh/Tk3yhKSh7o46L/8+FfAPOA6Jt8WTQUoJ\n"
                    "NprgPvOP/g6N4f32TLxI80bFIr4xQXfEdyMnepcEOCS8cASPpm8YC64GBD4YSp1k\n"
                    "IXyXse1TCMJ4AMN10QIDAQAB\n"
                    "-----END PUBLIC KEY-----\n")}) {
    const auto key = PublicKey::from_pem(pem);
    REQUIRE_FALSE(key);
    CHECK(key.error().code == Errc::invalid_argument);
  }
  CHECK_FALSE(PrivateKey::generate(1024));
  CHECK_FALSE(PrivateKey::from_pem(our_key().public_key().pem()));
}

TEST_CASE("a key set lists the public numbers of every key and nothing else") {
  KeyRing ring;
  CHECK(key_set(*ring.keys()) == R"({"keys":[]})");
  REQUIRE(ring.set({our_key().public_key(), other_key().public_key()}));
  const std::string json = key_set(*ring.keys());
  CHECK(json.find(our_key().public_key().id()) != std::string::npos);
  CHECK(json.find(other_key().public_key().modulus()) != std::string::npos);
  CHECK(json.find(R"("d":)") == std::string::npos);
}

TEST_CASE("a token of a trusted key is believed, with kid and without") {
  Bench bench;
  CHECK(must(bench.verifier.verify(bench.token()))->role == "ADMIN");
  CHECK(bench.verifier.verify(signed_token(
      R"({"alg":"RS256"})",
      R"({"sub":"1","type":"service_account","role":"admin","name":"a","exp":4000000000})")));
}

TEST_CASE("no other token is believed") {
  Bench bench;
  constexpr std::string_view kPayload =
      R"({"sub":"1","type":"service_account","role":"admin","name":"a","exp":4000000000})";
  const std::string good = bench.token();
  const auto refused = [&](std::string_view token) { return !bench.verifier.verify(token); };

  CHECK(refused(must(mint(sample_claims(), other_key()))));
  CHECK(refused(signed_token(R"({"alg":"RS256"})", kPayload, other_key())));
  CHECK(refused(signed_token(R"({"alg":"RS256","kid":"unknown"})", kPayload)));
  CHECK(refused(signed_token(R"({"alg":"RS256","kid":")" + other_key().public_key().id() + R"("})",
                             kPayload)));
  for (const char* header : {R"({"alg":"HS256"})", R"({"alg":"RS256"})"})
    CHECK(refused(signed_with_hmac(header, kPayload, our_key().public_key().pem())));
  CHECK(refused(joined(R"({"alg":"none"})", kPayload) + "."));
  CHECK(refused(joined(R"({"alg":"RS256"})", kPayload) + "."));
  // A good signature under another payload, and every single bit of the signature.
  CHECK(refused(joined(R"({"alg":"RS256","typ":"JWT"})", kPayload) + good.substr(good.rfind('.'))));
  const std::size_t dot = good.rfind('.');
  const std::string signature = from_base64url(good.substr(dot + 1)).value();
  for (std::size_t at = 0; at < signature.size(); at += 17) {
    std::string bad = signature;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    CHECK(refused(good.substr(0, dot + 1) + base64url(bad)));
  }
  CHECK(refused(good.substr(0, dot + 1) + base64url(signature + std::string(1, '\0'))));
  CHECK(refused(good.substr(0, dot + 1) + base64url(std::string(1, '\0') + signature)));
  CHECK(bench.verifier.cached() == 0);
  CHECK_FALSE(refused(good));
}

TEST_CASE("a token that is remembered expires all the same") {
  Bench bench;
  const std::string token = bench.token();
  CHECK(bench.verifier.verify(token));
  CHECK(bench.verifier.cached() == 1);
  bench.clock.advance(std::chrono::minutes(30));
  CHECK(bench.verifier.verify(token));  // within the leeway
  bench.clock.advance(std::chrono::seconds(30));
  CHECK_FALSE(bench.verifier.verify(token));
}

TEST_CASE("rotation: old tokens hold while the old key is in the ring, then no more") {
  Bench bench;
  const std::string old = bench.token();
  CHECK(bench.verifier.verify(old));
  REQUIRE(bench.ring.set({other_key().public_key(), our_key().public_key()}));
  CHECK(bench.verifier.verify(old));
  CHECK(bench.verifier.verify(must(mint(sample_claims(), other_key()))));
  REQUIRE(bench.ring.set({other_key().public_key()}));
  CHECK_FALSE(bench.verifier.verify(old));
}

TEST_CASE("no number of tokens makes the memory of them grow without end") {
  VerifierOptions options;
  options.cached_most = 8;
  Bench bench(options);
  const std::string used = bench.token();
  Claims claims = sample_claims();
  for (int i = 0; i < 40; ++i) {
    claims.id = std::to_string(i);
    REQUIRE(bench.verifier.verify(must(mint(claims, our_key()))));
    REQUIRE(bench.verifier.verify(used));
    CHECK(bench.verifier.cached() <= 9);
  }
}

TEST_CASE("keys that change in their files change without a restart") {
  const test::TempDir dir;
  test::FakeClock clock;
  KeyRing ring;
  KeyFiles files(ring, {});
  CHECK(files.take(read_key_files(dir.path())).error().code == Errc::not_found);
  write(dir / "a.pem", our_key().public_key().pem());
  write(dir / "private.pem", other_key().pem());
  write(dir / "notes.txt", "not a key");
  REQUIRE(files.take(read_key_files(dir.path())));

  VerifierOptions options;
  options.refresh = [&] { (void)files.take(read_key_files(dir.path())); };
  options.refresh_every = std::chrono::seconds(10);
  Verifier verifier(ring, clock, options);
  const std::string token = must(mint(sample_claims(), other_key()));
  CHECK_FALSE(verifier.verify(token));
  write(dir / "b.pem", other_key().public_key().pem());
  CHECK_FALSE(verifier.verify(token));  // who shows nonsense does not have them read each time
  clock.advance(std::chrono::milliseconds(250));
  CHECK(verifier.verify(token));
  fs::remove(dir / "b.pem");
  clock.advance(std::chrono::seconds(9));
  CHECK(verifier.verify(token));
  clock.advance(std::chrono::seconds(1));
  CHECK_FALSE(verifier.verify(token));
}

TEST_CASE("keys that cannot be read leave those in force that were") {
  const test::TempDir dir;
  KeyRing ring;
  const std::string path = dir / "key.pem";
  KeyFiles files(ring, {});
  write(path, our_key().public_key().pem() + other_key().public_key().pem());
  REQUIRE(files.take(read_key_files(path)));
  CHECK(ring.keys()->all.size() == 2);
  const auto version = ring.keys()->version;
  REQUIRE(files.take(read_key_files(path)));
  CHECK(ring.keys()->version == version);

  for (const std::string& text : {std::string(), std::string("-----BEGIN PUBLIC KEY-----\n"),
                                  our_key().pem(), std::string(300'000, 'x')}) {
    write(path, text);
    CHECK_FALSE(files.take(read_key_files(path)));
    CHECK(ring.keys()->all.size() == 2);
  }
  fs::remove(path);
  CHECK(files.take(read_key_files(path)).error().code == Errc::not_found);
  CHECK(ring.keys()->all.size() == 2);
}

TEST_CASE("the log is told once of keys that cannot be read, and once that they can again") {
  test::KeptLog log;
  KeyRing ring;
  KeyFiles files(ring, {.logger = &log});
  const auto told = [&](const Result<std::vector<PublicKey>>& read) {
    for (int i = 0; i < 2; ++i) {
      (void)files.take(read);
      files.tell();
    }
    return std::pair(log.count("ERROR: The keys stay as they were: "),
                     log.count("INFO: The key files are readable again"));
  };
  const std::vector good{our_key().public_key()};
  CHECK(told(good) == std::pair(0UL, 0UL));
  CHECK(told(Error{Errc::not_found, "gone"}) == std::pair(1UL, 0UL));
  CHECK(told(Error{Errc::invalid_argument, "broken"}) == std::pair(2UL, 0UL));
  CHECK(told(good) == std::pair(2UL, 1UL));
}

TEST_SUITE_END();

}  // namespace artcache::auth
