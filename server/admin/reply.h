// SPDX-License-Identifier: Apache-2.0
// Answers of the API. Internal to server/admin.
#pragma once

#include <string>

#include "base/result.h"
#include "net/http_server.h"
#include "schemas/diagnostic.h"

namespace knock {

net::HttpResponse reply(int status, std::string body, std::string type = "application/json");
/// RFC 9457, with the status of the error's kind.
net::HttpResponse problem(const Error& error, const Diagnostics& problems = {});
net::HttpResponse problem(ErrorKind kind, std::string message);

}  // namespace knock
