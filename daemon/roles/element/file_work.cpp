// SPDX-License-Identifier: Apache-2.0
#include "roles/element/file_work.hpp"

#include <array>
#include <chrono>
#include <span>
#include <string_view>

namespace artcache::element {
namespace {

struct Names {
  std::string_view total, bytes, seconds;
};

Names names_of(FileWork::Kind kind) {
  switch (kind) {
    case FileWork::Kind::upload:
      return {"storage_file_uploads_total", "storage_file_upload_bytes_total",
              "storage_file_upload_duration_seconds"};
    case FileWork::Kind::download:
      return {"storage_file_downloads_total", "storage_file_download_bytes_total",
              "storage_file_download_duration_seconds"};
    case FileWork::Kind::removal:
      break;
  }
  return {"storage_file_deletes_total", {}, {}};
}

}  // namespace

FileWork::FileWork(const Element& element, ElementMode mode, Kind kind)
    : deps_(element.parts().deps),
      element_(element.settings().id),
      mode_(mode),
      kind_(kind),
      begun_(deps_.clock->steady()) {}

FileWork::~FileWork() {
  const Names names = names_of(kind_);
  const std::array labels{MetricLabel{"storage_element_id", element_},
                          MetricLabel{"mode", to_string(mode_)},
                          MetricLabel{"status", succeeded_ ? "success" : "error"}};
  const std::span about = std::span(labels).first(2);
  Metrics& metrics = *deps_.metrics;
  metrics.count(names.total, labels, 1);
  if (names.bytes.empty()) return;
  metrics.count(names.bytes, about, static_cast<double>(bytes_));
  metrics.observe(names.seconds, about,
                  std::chrono::duration<double>(deps_.clock->steady() - begun_).count());
}

}  // namespace artcache::element
