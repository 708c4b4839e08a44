// SPDX-License-Identifier: Apache-2.0
// An OpenID provider behind net::HttpClient, without a network: it serves documents, remembers what
// was asked, and can be told to misbehave.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "net/http_client.h"

namespace knock::sso::test {

class FakeProvider final : public net::HttpClient {
 public:
  using Answer = std::function<Result<net::IncomingResponse>(const net::OutgoingRequest&)>;

  void on(const std::string& url, Answer answer) { answers_[url] = std::move(answer); }
  void on(const std::string& url, std::string body, int status = 200) {
    on(url, [=](auto&) { return net::IncomingResponse{status, {}, body}; });
  }
  Result<net::IncomingResponse> send(const net::OutgoingRequest& request, Deadline) override {
    asked.push_back(request);
    auto found = answers_.find(request.url);
    if (found == answers_.end()) return fail(ErrorKind::unavailable, "nobody at " + request.url);
    return found->second(request);
  }
  std::size_t times(const std::string& url) const {
    std::size_t out = 0;
    for (auto& request : asked) out += request.url == url;
    return out;
  }

  std::vector<net::OutgoingRequest> asked;

 private:
  std::map<std::string, Answer> answers_;
};

class FakeClock final : public Clock {
 public:
  Instant now() const override { return Instant{at.ms}; }
  MonotonicTime monotonic() const override { return MonotonicTime(at.chrono()); }
  Duration at = Duration::hours(1000);
};

}  // namespace knock::sso::test
