// SPDX-License-Identifier: Apache-2.0
#include "backends/sqlite/scan_leaf.hpp"

#include <algorithm>
#include <cstring>

#include "util/path.hpp"

namespace artcache::sqlite {
namespace {

// Two zeros, then the files: length of the name in two bytes, the name, size, mark, id, hash,
// updated_at, text_hash. Numbers have their lowest byte first. A name is never empty: what begins
// with another length was written before there were text hashes, and has none.
constexpr std::size_t kLength = 2, kMark = 24, kId = 16, kHash = 16, kTextHash = 8;
constexpr std::size_t kFixedBefore = kLength + 8 + kMark + kId + kHash + 8;
constexpr std::size_t kFixed = kFixedBefore + kTextHash;

void put_number(std::string& out, std::uint64_t number, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) out.push_back(static_cast<char>(number >> (8 * i)));
}

std::uint64_t take_number(const std::uint8_t*& at, std::size_t bytes) {
  std::uint64_t number = 0;
  for (std::size_t i = bytes; i > 0; --i) number = number << 8 | at[i - 1];
  at += bytes;
  return number;
}

template <std::size_t N>
void put_bytes(std::string& out, const std::array<std::uint8_t, N>& bytes) {
  out.append(reinterpret_cast<const char*>(bytes.data()), N);
}

template <std::size_t N>
std::array<std::uint8_t, N> take_bytes(const std::uint8_t*& at) {
  std::array<std::uint8_t, N> bytes{};
  std::memcpy(bytes.data(), at, N);
  at += N;
  return bytes;
}

constexpr auto kByName = [](const ScannedFile& file, std::string_view name) {
  return file.path < name;
};

}  // namespace

SplitPath split_path(std::string_view path) {
  const std::size_t begin = util::last_slash(path) + 1;  // npos + 1 is 0
  return {path.substr(0, begin), path.substr(begin)};
}

Result<void> check_name(std::string_view path) {
  constexpr std::size_t kNameMost = 0xffff;
  if (path.size() <= kNameMost || split_path(path).name.size() <= kNameMost) return {};
  return Error{Errc::invalid_argument, "index: scan table: a name of more than 65535 bytes"};
}

Result<ScanLeaf> ScanLeaf::parse(sql::Bytes bytes, std::vector<ScannedFile> used) {
  ScanLeaf leaf;
  leaf.files_ = std::move(used);
  std::size_t count = 0;
  const std::uint8_t* at = bytes.data();
  const std::uint8_t* const end = at + bytes.size();
  const bool has_text_hashes = bytes.size() >= kLength && at[0] == 0 && at[1] == 0;
  if (has_text_hashes) at += kLength;
  const std::size_t fixed = has_text_hashes ? kFixed : kFixedBefore;
  leaf.files_.reserve(bytes.size() / fixed);  // a little too much
  while (at != end) {
    const auto left = static_cast<std::size_t>(end - at);
    const std::size_t length = left < kLength ? 0 : at[0] | std::size_t{at[1]} << 8;
    if (left < fixed + length)
      return Error{Errc::corrupt, "sqlite index: a damaged row in the scan table; rebuild it"};
    at += kLength;
    ScannedFile& file =
        count < leaf.files_.size() ? leaf.files_[count] : leaf.files_.emplace_back();
    ++count;
    file.path.assign(reinterpret_cast<const char*>(at), length);
    at += length;
    file.stamp.size = take_number(at, 8);
    file.stamp.mark = take_bytes<kMark>(at);
    file.id = FileId(take_bytes<kId>(at));
    file.hash.bytes = take_bytes<kHash>(at);
    file.updated_at =
        Timestamp(std::chrono::microseconds(static_cast<std::int64_t>(take_number(at, 8))));
    file.text_hash = has_text_hashes ? take_number(at, kTextHash) : 0;
  }
  leaf.files_.resize(count);
  return leaf;
}

std::string ScanLeaf::packed() const {
  std::string out;
  std::size_t size = kLength;
  for (const ScannedFile& file : files_) size += kFixed + file.path.size();
  out.reserve(size);
  put_number(out, 0, kLength);
  for (const ScannedFile& file : files_) {
    put_number(out, file.path.size(), kLength);
    out.append(file.path);
    put_number(out, file.stamp.size, 8);
    put_bytes(out, file.stamp.mark);
    put_bytes(out, file.id.bytes());
    put_bytes(out, file.hash.bytes);
    put_number(out, static_cast<std::uint64_t>(file.updated_at.micros()), 8);
    put_number(out, file.text_hash, kTextHash);
  }
  return out;
}

const ScannedFile* ScanLeaf::find(std::string_view name) const {
  const auto at = std::lower_bound(files_.begin(), files_.end(), name, kByName);
  return at != files_.end() && at->path == name ? &*at : nullptr;
}

std::optional<ScannedFile> ScanLeaf::put(std::string_view name, const ScannedFile& file) {
  auto at = std::lower_bound(files_.begin(), files_.end(), name, kByName);
  std::optional<ScannedFile> old;
  if (at != files_.end() && at->path == name)
    old = std::move(*at);
  else
    at = files_.emplace(at);
  at->path = name;  // and not first the path of the file, which is longer
  at->stamp = file.stamp;
  at->id = file.id;
  at->hash = file.hash;
  at->updated_at = file.updated_at;
  at->text_hash = file.text_hash;
  return old;
}

std::optional<ScannedFile> ScanLeaf::remove(std::string_view name) {
  const auto at = std::lower_bound(files_.begin(), files_.end(), name, kByName);
  if (at == files_.end() || at->path != name) return std::nullopt;
  std::optional<ScannedFile> old(std::move(*at));
  files_.erase(at);
  return old;
}

ScanLeaf ScanLeaf::split() {
  ScanLeaf upper;
  const auto middle = files_.begin() + static_cast<std::ptrdiff_t>(files_.size() / 2);
  upper.files_.assign(std::make_move_iterator(middle), std::make_move_iterator(files_.end()));
  files_.erase(middle, files_.end());
  return upper;
}

}  // namespace artcache::sqlite
