// SPDX-License-Identifier: Apache-2.0
// ListObjectsV2, page by page.
#pragma once

#include <artcache/storage_backend.hpp>
#include <string>

#include "backends/s3/client.hpp"

namespace artcache::s3 {

/// As StorageBackend::list(), on the calling thread. One request for each 1,000 objects. A longer
/// listing finds out where folders begin and asks for several parts at once; that costs a tenth
/// more requests at most, and memory for 16 pages. Within one folder page follows page.
Result<void> list_objects(Client& client, const std::string& prefix, const ListRequest& request,
                          const ListSink& sink, const Call& call);

/// Asks for one object at most: the quickest question whose refusal tells why.
Result<void> check_bucket(Client& client, const std::string& prefix, const Call& call);

}  // namespace artcache::s3
