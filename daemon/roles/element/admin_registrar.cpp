// SPDX-License-Identifier: Apache-2.0
#include "roles/element/admin_registrar.hpp"

#include <artcache/json_writer.hpp>
#include <string>
#include <utility>

#include "util/try.hpp"
#include "web/http_client.hpp"

namespace artcache::element {
namespace {

/// The members that the registry wants: those of /api/v1/info, and the address.
std::string entry_of(const Announcement& said, std::string_view status) {
  const ElementSettings& settings = *said.settings;
  JsonWriter json;
  json.begin_object()
      .member("name", settings.name)
      .member("display_name", settings.display_name)
      .member("version", settings.version)
      .member("mode", to_string(said.mode))
      .member("storage_type", settings.storage_type)
      .member("base_path", settings.base_path)
      .member("capacity_bytes", said.room.total)
      .member("used_bytes", said.room.used)
      .member("file_count", said.room.files)
      .member("status", status)
      .member("priority", settings.priority)
      .member("element_id", settings.id)
      .member("api_url", said.endpoint)
      .end_object();
  return std::move(json).str();
}

class AdminRegistrar final : public Registrar {
 public:
  AdminRegistrar(ServiceAccount account, const std::string& ca, const Deps& deps)
      : admin_(account.admin),
        http_({.ca = ca}, *deps.clock),
        token_(std::move(account), http_, deps) {}

  [[nodiscard]] std::string name() const override { return "admin"; }
  Result<void> announce(const Announcement& said, const Call& call) override {
    room_ = said.room;
    return enter(entry_of(said, said.mode == ElementMode::ar ? "maintenance" : "operational"),
                 call);
  }
  Result<void> withdraw(const Announcement& last, const Call& call) override {
    // How full it was is still worth knowing.
    Announcement kept = last;
    kept.room = room_;
    return enter(entry_of(kept, "offline"), call);
  }

 private:
  Result<void> enter(std::string entry, const Call& call) {
    ARTCACHE_TRY(const std::string token, token_.get(call));
    web::HttpRequest request{
        .method = "POST",
        .url = admin_() + "/api/v1/internal/storage-elements/register",
        .headers = {{"Content-Type", "application/json"}, {"Authorization", "Bearer " + token}},
        .body = std::move(entry)};
    ARTCACHE_TRY(const web::HttpReply reply, http_.send(request, call));
    if (reply.head.status == 401) token_.reject(token);
    if (reply.head.status < 300) return {};
    return Error{Errc::unavailable,
                 "the admin answers " + std::to_string(reply.head.status) + " to the registration"};
  }

  const std::function<std::string()> admin_;
  web::HttpClient http_;
  ServiceToken token_;
  Element::Room room_;
};

}  // namespace

std::unique_ptr<Registrar> make_admin_registrar(ServiceAccount account, const std::string& ca,
                                                const Deps& deps) {
  return std::make_unique<AdminRegistrar>(std::move(account), ca, deps);
}

}  // namespace artcache::element
