// SPDX-License-Identifier: Apache-2.0
// Whether a request that changes something was made by a page of ours. Two independent proofs are
// asked for: what the browser says about the page that made it (here), and a token that only our
// pages hold (form_token, or core's). Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "net/http_server.h"

namespace knock::server {

/// "https://knock.example" of "https://KNOCK.example:443/": scheme and authority in lower case,
/// without the scheme's own port, as a browser writes Origin. Nothing for another scheme, user
/// info, or an empty host.
std::optional<std::string> origin_of(std::string_view url);

/// Empty when the request is ours, else a reason code: "csrf.cross-site" (Origin or Sec-Fetch-Site
/// says so), "csrf.no-origin" (neither was sent, or one of them twice).
std::string_view cross_site_problem(const net::HttpRequest& request,
                                    std::string_view public_origin);

/// The token in forms of people who have no session yet, made from the random token in their
/// cookie: another site can neither read the cookie nor guess this, so it can sign nobody in under
/// a name of its choosing.
std::string form_token(std::string_view browser_token);

/// What may stand in a cookie of ours: 1…256 letters, digits and "-_.~".
bool is_cookie_token(std::string_view text);

}  // namespace knock::server
