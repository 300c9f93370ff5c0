// SPDX-License-Identifier: Apache-2.0
#include "web/authorities.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

namespace artcache::web {
namespace {

struct Free {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* one) const { X509_free(one); }
};

/// Whether it is certificates from end to end, and one of them at least.
bool are_certificates(const std::string& pem) {
  const std::unique_ptr<BIO, Free> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (!bio) return false;
  std::size_t found = 0;
  while (const std::unique_ptr<X509, Free> one{
      PEM_read_bio_X509_AUX(bio.get(), nullptr, nullptr, nullptr)})
    ++found;
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  return at_end && found > 0;
}

}  // namespace

Result<std::string> read_authorities(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string pem{std::istreambuf_iterator<char>(file), {}};
  if (file.is_open() && are_certificates(pem)) return pem;
  return Error{Errc::invalid_argument,
               "'" + path + "' " +
                   (file.is_open() ? "is no list of certificates in PEM" : "cannot be read")};
}

std::optional<Authorities::Mark> Authorities::mark() const {
  std::error_code failed;
  const auto written = std::filesystem::last_write_time(path_, failed);
  if (failed) return std::nullopt;
  const auto size = std::filesystem::file_size(path_, failed);
  if (failed) return std::nullopt;
  return Mark{.written = written, .size = size};
}

std::shared_ptr<const std::string> Authorities::now() {
  if (path_.empty()) return nullptr;
  const util::MutexLock held(mutex_);
  // Before it is read: what is written meanwhile is read the next time.
  const auto found = mark();
  if (found == seen_) return used_;
  seen_ = found;
  if (auto pem = read_authorities(path_))
    used_ = std::make_shared<const std::string>(*std::move(pem));
  return used_;
}

}  // namespace artcache::web
