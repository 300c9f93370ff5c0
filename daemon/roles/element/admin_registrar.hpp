// SPDX-License-Identifier: Apache-2.0
// Where an element is announced beside Redis: in the registry of the admin.
#pragma once

#include <artcache/backends.hpp>
#include <memory>
#include <string>

#include "common/service_token.hpp"
#include "roles/element/announcer.hpp"

namespace artcache::element {

/// Enters the element over HTTP, with the account, as often as it is announced; withdrawn, it
/// stands there as offline. `ca`: HttpSettings::ca.
std::unique_ptr<Registrar> make_admin_registrar(ServiceAccount account, const std::string& ca,
                                                const Deps& deps);

}  // namespace artcache::element
