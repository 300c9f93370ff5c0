// SPDX-License-Identifier: Apache-2.0
#include "auth/keys.hpp"

#include <algorithm>
#include <artcache/json_writer.hpp>
#include <fstream>
#include <system_error>

#include "util/here.hpp"
#include "util/try.hpp"

namespace artcache::auth {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFileMost = 256 * 1024;
constexpr std::string_view kBegin = "-----BEGIN ";

Result<std::string> read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::string out(kFileMost + 1, '\0');
  if (in) in.read(out.data(), static_cast<std::streamsize>(out.size()));
  if (in.bad() || (!in && !in.eof()))
    return Error{Errc::unavailable, "keys: cannot read '" + path.string() + "'"};
  out.resize(static_cast<std::size_t>(in.gcount()));
  if (out.size() > kFileMost)
    return Error{Errc::invalid_argument, "keys: '" + path.string() + "' is too long"};
  return out;
}

/// The file itself, or the *.pem of a folder by name.
Result<std::vector<fs::path>> files_at(const fs::path& place) {
  std::error_code failed;
  const auto status = fs::status(place, failed);
  if (!fs::exists(status))
    return Error{Errc::not_found, "keys: there is no '" + place.string() + "'"};
  if (!fs::is_directory(status)) return std::vector{place};
  std::vector<fs::path> out;
  for (fs::directory_iterator at(place, failed), end; !failed && at != end; at.increment(failed))
    if (at->path().extension() == ".pem") out.push_back(at->path());
  if (failed) return Error{Errc::unavailable, "keys: cannot list '" + place.string() + "'"};
  std::sort(out.begin(), out.end());
  return out;
}

bool same_keys(const std::vector<PublicKey>& a, const std::vector<PublicKey>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const PublicKey& x, const PublicKey& y) { return x.id() == y.id(); });
}

}  // namespace

bool Keys::verify(std::string_view key_id, std::string_view message,
                  std::string_view signature) const {
  return std::any_of(all.begin(), all.end(), [&](const PublicKey& key) {
    return (key_id.empty() || key.id() == key_id) && key.verifies(message, signature);
  });
}

Result<void> KeyRing::set(std::vector<PublicKey> keys) {
  if (keys.size() > kKeysMost)
    return Error{Errc::invalid_argument, "keys: " + std::to_string(keys.size()) +
                                             " are too many; the limit is " +
                                             std::to_string(kKeysMost)};
  const util::MutexLock lock(mutex_);
  if (same_keys(keys, keys_->all)) return {};
  keys_ = std::make_shared<const Keys>(Keys{std::move(keys), keys_->version + 1});
  return {};
}

std::shared_ptr<const Keys> KeyRing::keys() const {
  const util::MutexLock lock(mutex_);
  return keys_;
}

std::string key_set(const Keys& keys) {
  JsonWriter json;
  json.begin_object().key("keys").begin_array();
  for (const PublicKey& key : keys.all)
    json.begin_object()
        .member("kty", "RSA")
        .member("use", "sig")
        .member("alg", "RS256")
        .member("kid", key.id())
        .member("n", key.modulus())
        .member("e", key.exponent())
        .end_object();
  json.end_array().end_object();
  return std::move(json).str();
}

Result<std::vector<PublicKey>> read_public_keys(std::string_view pem) {
  std::vector<PublicKey> out;
  for (auto at = pem.find(kBegin); at != std::string_view::npos;) {
    const auto next = pem.find(kBegin, at + 1);
    ARTCACHE_TRY(PublicKey key, PublicKey::from_pem(pem.substr(at, next - at)));
    out.push_back(std::move(key));
    if (out.size() > kKeysMost) return Error{Errc::invalid_argument, "keys: too many"};
    at = next;
  }
  if (out.empty()) return Error{Errc::not_found, "keys: no public key in PEM form"};
  return out;
}

Result<std::vector<PublicKey>> read_key_files(const fs::path& place) {
  ARTCACHE_TRY(const auto files, files_at(place));
  std::vector<PublicKey> keys;
  for (const fs::path& file : files) {
    ARTCACHE_TRY(const std::string text, read_file(file));
    const bool secret = text.find("PRIVATE KEY-----") != std::string::npos;
    if (secret && file != place) continue;
    auto found = read_public_keys(text);
    if (!found) return std::move(found).error().in("'" + file.string() + "'");
    std::move(found->begin(), found->end(), std::back_inserter(keys));
  }
  if (keys.empty())
    return Error{Errc::not_found, "keys: no public key in '" + place.string() + "'"};
  return keys;
}

Result<void> KeyFiles::take(Result<std::vector<PublicKey>> read) {
  Result<void> done = read ? ring_.set(*std::move(read)) : Result<void>(read.error());
  const util::MutexLock lock(mutex_);
  last_ = done;
  return done;
}

Result<void> KeyFiles::last() const {
  const util::MutexLock lock(mutex_);
  return last_;
}

void KeyFiles::tell() {
  std::string trouble;
  {
    const util::MutexLock lock(mutex_);
    if (!last_) trouble = to_string(last_.error());
    if (trouble == told_) return;
    told_ = trouble;
  }
  const bool well = trouble.empty();
  const std::string source = util::here();
  const LogField fields[] = {{"source", source}};
  deps_.logger->log({.level = well ? LogLevel::info : LogLevel::error,
                     .logger = "auth",
                     .message = well ? "The key files are readable again"
                                     : "The keys stay as they were: " + trouble,
                     .fields = std::span(fields).first(well ? 0 : 1),
                     .request_id = {}});
}

}  // namespace artcache::auth
