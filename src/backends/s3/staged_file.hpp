// SPDX-License-Identifier: Apache-2.0
// A file on its way into a bucket: in memory up to the size of a part, beyond that as a multipart
// upload, which shows nothing until it is completed.
#pragma once

#include <artcache/storage_backend.hpp>
#include <memory>

#include "backends/s3/place.hpp"

namespace artcache::s3 {

/// `exclusive`: the server itself refuses to replace.
enum class Exclusive : std::uint8_t { by_server, by_look };

std::unique_ptr<StagedFile> make_staged(std::shared_ptr<Client> client, std::string key,
                                        PutRequest request, std::size_t part_size,
                                        Exclusive exclusive);

}  // namespace artcache::s3
