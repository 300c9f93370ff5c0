// SPDX-License-Identifier: Apache-2.0
#include "roles/admin/signing.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <span>
#include <system_error>

#include "auth/secret.hpp"
#include "util/fd.hpp"

namespace artcache::admin {
namespace {

namespace fs = std::filesystem;
using std::chrono::duration_cast;
using std::chrono::microseconds;

Result<std::string> read_text(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::string out((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (!in) return Error{Errc::not_found, "keys: cannot read '" + path.string() + "'"};
  return out;
}

/// Whether it is on the disk.
bool synced(const util::Fd& file) {
  return file && util::retried([&] { return ::fsync(file.get()); }) == 0;
}

bool written(const fs::path& path, std::string_view text) {
  const util::Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  while (file && !text.empty()) {
    const auto size = util::retried([&] { return ::write(file.get(), text.data(), text.size()); });
    if (size <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(size));
  }
  return synced(file);
}

/// Whole or not at all, even after a power cut: somebody may be reading the folder, and one empty
/// file there makes all keys unreadable.
Result<void> write_whole(const fs::path& path, std::string_view text) {
  fs::path beside = path;
  beside += ".new";
  std::error_code failed;
  bool done = written(beside, text);
  if (done) fs::rename(beside, path, failed);
  done = done && !failed &&
         synced(util::Fd(::open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
  if (!done) return Error{Errc::unavailable, "keys: cannot write '" + path.string() + "'"};
  return {};
}

}  // namespace

Signing::Signing(Database& database, auth::KeyRing& ring, const Deps& deps, SigningOptions options)
    : database_(database), ring_(ring), deps_(deps), options_(std::move(options)) {}

Result<auth::PrivateKey> Signing::first_key() const {
  if (options_.first_key.empty()) return auth::PrivateKey::generate();
  ARTCACHE_TRY(const std::string pem, read_text(options_.first_key));
  auto key = auth::PrivateKey::from_pem(pem);
  if (!key) return std::move(key).error().in("'" + options_.first_key.string() + "'");
  return key;
}

Result<JwtKey> Signing::add(Session& session, const auth::PrivateKey& key,
                            std::int64_t rotation) const {
  const Timestamp now = deps_.clock->now();
  JwtKey out;
  out.version = auth::random_uuid();
  out.key_id = key.public_key().id();
  out.private_key = key.pem();
  out.public_key = key.public_key().pem();
  out.created_at = now;
  // Without rotation it signs until somebody asks for another one.
  out.expires_at =
      options_.rotate_every.count() == 0
          ? Timestamp::max()
          : now + duration_cast<microseconds>(options_.rotate_every + options_.overlap);
  out.rotation_count = rotation;
  ARTCACHE_CHECK(add_key(session, out));
  return out;
}

Result<void> Signing::load(const Call& call) {
  ARTCACHE_TRY(auto keys, database_.read(call, [](Session& s) { return list_keys(s); }));
  const bool signs = std::any_of(keys.begin(), keys.end(), [](auto& k) { return k.is_active; });
  if (!signs) {
    ARTCACHE_TRY(const auth::PrivateKey key, first_key());
    ARTCACHE_TRY(keys, database_.write(call, [&](Session& s) -> Result<std::vector<JwtKey>> {
      ARTCACHE_TRY(auto there, list_keys(s));  // another process may have been faster
      if (there.empty() || !there.front().is_active) ARTCACHE_CHECK(add(s, key, 0));
      return list_keys(s);
    }));
  }
  return use(std::move(keys));
}

double Signing::seconds_since(Clock::SteadyTime begun) const {
  return std::chrono::duration<double>(deps_.clock->steady() - begun).count();
}

Result<JwtKey> Signing::rotate(const Call& call) { return rotate(call, {}); }

Result<JwtKey> Signing::rotate(const Call& call, std::string_view instead_of) {
  const auto begun = deps_.clock->steady();
  auto made = rotate_keys(call, instead_of);
  if (!made && made.error().code == Errc::conflict) return made;  // nothing was to be done
  const MetricLabel labels[] = {{"status", made ? "success" : "error"}};
  deps_.metrics->count("jwt_rotation_total", labels, 1);
  deps_.metrics->observe("jwt_rotation_duration_seconds", {}, seconds_since(begun));
  return made;
}

Result<JwtKey> Signing::rotate_keys(const Call& call, std::string_view instead_of) {
  ARTCACHE_TRY(const auth::PrivateKey key, auth::PrivateKey::generate());
  const Timestamp until = deps_.clock->now() + duration_cast<microseconds>(options_.overlap);
  ARTCACHE_TRY(JwtKey made, database_.write(call, [&](Session& s) -> Result<JwtKey> {
    // What is listed before the lock may be replaced until it is held.
    ARTCACHE_CHECK(lock_active_keys(s));
    ARTCACHE_TRY(const auto keys, list_keys(s));
    const Error late{Errc::conflict, "keys: another process was faster"};
    if (!instead_of.empty() && (keys.empty() || keys.front().version != instead_of)) return late;
    const std::int64_t count = keys.empty() ? 0 : keys.front().rotation_count;
    ARTCACHE_TRY(JwtKey added, add(s, key, count + 1));
    ARTCACHE_TRY(const std::int64_t retired, retire_other_keys(s, added.version, until));
    // A third one was faster than who was waited for.
    if (!keys.empty() && retired == 0) return late;
    ARTCACHE_CHECK(forget_retired_keys(s));
    return added;
  }));
  ARTCACHE_CHECK(load(call));
  made.private_key.clear();
  return made;
}

Result<void> Signing::tend(const Call& call) {
  ARTCACHE_CHECK(load(call));
  if (options_.rotate_every.count() == 0) return {};
  const std::vector<JwtKey> keys = known();
  const auto age = deps_.clock->now() - keys.front().created_at;
  if (age < options_.rotate_every) return {};
  const auto made = rotate(call, keys.front().version);
  const bool lost = !made && made.error().code == Errc::conflict;
  const MetricLabel labels[] = {{"status", made ? "acquired" : lost ? "lost" : "error"}};
  deps_.metrics->count("jwt_rotation_lock_attempts_total", labels, 1);
  if (lost) return load(call);
  ARTCACHE_CHECK(made);
  return {};
}

Result<void> Signing::publish(const std::vector<JwtKey>& keys) const {
  const fs::path& folder = options_.public_folder;
  if (folder.empty()) return {};
  std::error_code failed;
  fs::create_directories(folder, failed);
  std::vector<fs::path> wanted;
  for (const JwtKey& key : keys) {
    wanted.push_back(folder / (key.key_id + ".pem"));
    const auto there = read_text(wanted.back());
    if (!there || *there != key.public_key)
      ARTCACHE_CHECK(write_whole(wanted.back(), key.public_key));
  }
  for (const auto& entry : fs::directory_iterator(folder, failed))
    if (entry.path().extension() == ".pem" &&
        std::find(wanted.begin(), wanted.end(), entry.path()) == wanted.end())
      fs::remove(entry.path(), failed);
  return {};
}

Result<void> Signing::use(std::vector<JwtKey> keys) {
  const Timestamp now = deps_.clock->now();
  std::erase_if(keys, [&](const JwtKey& k) { return !k.is_active && k.expires_at <= now; });
  if (keys.size() > auth::kKeysMost) keys.resize(auth::kKeysMost);
  std::vector<auth::PublicKey> trusted;
  std::shared_ptr<const auth::PrivateKey> signer;
  for (JwtKey& key : keys) {
    ARTCACHE_TRY(auth::PublicKey read, auth::PublicKey::from_pem(key.public_key));
    trusted.push_back(std::move(read));
    if (key.is_active && !signer) {
      ARTCACHE_TRY(auth::PrivateKey secret, auth::PrivateKey::from_pem(key.private_key));
      signer = std::make_shared<const auth::PrivateKey>(std::move(secret));
    }
    key.private_key.clear();
  }
  // Those who verify learn of a key before anything is signed with it.
  ARTCACHE_CHECK(ring_.set(std::move(trusted)));
  ARTCACHE_CHECK(publish(keys));
  show(keys);
  const util::MutexLock lock(mutex_);
  keys_ = std::move(keys);
  signer_ = std::move(signer);
  return {};
}

void Signing::show(const std::vector<JwtKey>& keys) const {
  const auto active = std::ranges::count_if(keys, &JwtKey::is_active);
  deps_.metrics->gauge("jwt_total_keys", {}, static_cast<double>(keys.size()));
  deps_.metrics->gauge("jwt_active_keys", {}, static_cast<double>(active));
  const auto newest = std::ranges::find_if(keys, &JwtKey::is_active);
  // One that signs for ever has no hours.
  if (newest == keys.end() || newest->expires_at == Timestamp::max()) return;
  const std::chrono::duration<double, std::ratio<3600>> left =
      newest->expires_at - deps_.clock->now();
  deps_.metrics->gauge("jwt_key_expiry_hours", {}, left.count());
}

Result<std::string> Signing::mint(const auth::Claims& claims) const {
  std::shared_ptr<const auth::PrivateKey> signer;
  {
    const util::MutexLock lock(mutex_);
    signer = signer_;
  }
  if (!signer) return Error{Errc::unavailable, "token: there is no key to sign with"};
  const auto begun = deps_.clock->steady();
  auto token = auth::mint(claims, *signer);
  const MetricLabel labels[] = {{"type", claims.kind}, {"status", token ? "success" : "error"}};
  deps_.metrics->count("tokens_created_total", labels, 1);
  deps_.metrics->observe("token_creation_duration_seconds", std::span(labels).first(1),
                         seconds_since(begun));
  return token;
}

std::vector<JwtKey> Signing::known() const {
  const util::MutexLock lock(mutex_);
  return keys_;
}

}  // namespace artcache::admin
