// SPDX-License-Identifier: Apache-2.0
// Outgoing HTTP through libcurl, with a deadline, a size cap, no redirects, and a guard on the
// address that is really connected to (after DNS), so that a provider's document cannot make us
// call our own network.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/ip.h"
#include "base/prefix.h"
#include "base/result.h"
#include "base/time.h"

namespace knock::net {

struct OutgoingRequest {
  std::string method = "GET";
  std::string url;                                           // https:, or http: on loopback only
  std::vector<std::pair<std::string, std::string>> headers;  // values may be secret: never logged
  std::string body;
  std::size_t response_bytes = 1 << 20;
};

struct IncomingResponse {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;
};

/// Which addresses may be connected to. Public ones always; loopback, private, link-local, multicast, metadata and other
/// special ones (RFC 6890) only inside `allowed`.
struct ConnectGuard {
  std::vector<Prefix> allowed;
  bool permits(const IpAddress& address) const;
};

class HttpClient {
 public:
  virtual ~HttpClient() = default;
  /// Errors: timeout, unavailable (could not connect, broke off), unauthorized (the guard said no), invalid (URL,
  /// answer too large, TLS refused). Any HTTP status is an answer, not an error. One thread at a time.
  virtual Result<IncomingResponse> send(const OutgoingRequest& request, Deadline deadline) = 0;
};

/// `ca_pem`: trust these authorities instead of the machine's ("" = the machine's).
std::unique_ptr<HttpClient> make_http_client(ConnectGuard guard, std::string ca_pem = {});

/// Percent-encoded name=value pairs joined by '&' (RFC 3986 unreserved characters stay).
std::string encode_form(const std::vector<std::pair<std::string, std::string>>& pairs);

}  // namespace knock::net
