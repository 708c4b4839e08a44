// SPDX-License-Identifier: Apache-2.0
// Keys of the API.
#include "base/text.h"
#include "server/admin/call.h"
#include "server/admin/json.h"
#include "server/admin/reply.h"

namespace knock {

Result<std::optional<Duration>> AdminCall::key_life() {
  KNOCK_ASSIGN(auto written, args_.text_or("expires", ""));
  if (written.empty()) return std::optional<Duration>();
  auto life = parse_duration(written);
  if (!life)
    return fail(ErrorKind::invalid,
                printable(written) + " is not a length of time; write 90d or 12h");
  return life;
}

Result<net::HttpResponse> AdminCall::keys() { return reply(200, keys_json(c_.keys().list())); }

Result<net::HttpResponse> AdminCall::add_key() {
  KeyRequest request;
  KNOCK_ASSIGN(request.name, args_.text("name"));
  KNOCK_ASSIGN(request.scopes, args_.texts("scopes"));
  KNOCK_ASSIGN(request.from, args_.texts("from"));
  KNOCK_ASSIGN(auto life, key_life());
  if (life) request.life = *life;
  KNOCK_ASSIGN(auto made, c_.keys().add(actor_, request));
  return reply(201, made_key_json(made));
}

Result<net::HttpResponse> AdminCall::rotate_key() {
  KNOCK_ASSIGN(auto name, args_.text("name"));
  KNOCK_ASSIGN(auto life, key_life());
  KNOCK_ASSIGN(auto made, c_.keys().rotate(actor_, name, life));
  return reply(200, made_key_json(made));
}

Result<net::HttpResponse> AdminCall::revoke_key() {
  KNOCK_ASSIGN(auto name, args_.text("name"));
  KNOCK_CHECK(c_.keys().revoke(actor_, name));
  return reply(200, keys_json(c_.keys().list()));
}

}  // namespace knock
