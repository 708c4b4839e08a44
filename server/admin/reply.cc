// SPDX-License-Identifier: Apache-2.0
#include "server/admin/reply.h"

#include "server/admin/json.h"

namespace knock {

using net::HttpResponse;

HttpResponse reply(int status, std::string body, std::string type) {
  HttpResponse out;
  out.status = status;
  out.headers.set("Content-Type", std::move(type));
  out.headers.set("Cache-Control", "no-store");
  out.body = std::move(body);
  return out;
}

HttpResponse problem(const Error& error, const Diagnostics& problems) {
  int status = http_status(error.kind);
  // Only where they are the cause: a sound policy may have warnings, and be refused all the same.
  bool cause = error.kind == ErrorKind::invalid;
  return reply(status, problem_json(status, error, cause ? problems : Diagnostics()),
               "application/problem+json");
}

HttpResponse problem(ErrorKind kind, std::string message) {
  return problem(Error{kind, std::move(message), {}, std::nullopt});
}

}  // namespace knock
