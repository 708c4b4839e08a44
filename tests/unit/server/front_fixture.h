// SPDX-License-Identifier: Apache-2.0
// A front with a core that answers what the test told it to, as requests and responses.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/front/front.h"
#include "server/front/same_origin.h"
#include "tests/unit/server/front_fake_core.h"

namespace knock::test {

using server::form_token;
using server::Front;
using server::FrontSettings;

inline constexpr const char* kOrigin = "https://knock.example";
inline const IpAddress kClient = *IpAddress::parse("198.51.100.7");

class FrontTest : public ::testing::Test {
 protected:
  net::HttpResponse ask(net::HttpRequest request) {
    Front front(core, random, settings);
    std::optional<net::HttpResponse> got;
    int answers = 0;
    if (!request.peer) request.peer = kClient;
    front.handle(std::move(request), [&](net::HttpResponse response) {
      got = std::move(response);
      ++answers;
    });
    EXPECT_EQ(answers, 1);
    return got.value_or(net::HttpResponse{0, {}, ""});
  }

  static net::HttpRequest request(std::string method, std::string target) {
    net::HttpRequest out;
    out.method = std::move(method);
    out.target = target;
    out.path = target.substr(0, target.find('?'));
    if (auto at = target.find('?'); at != std::string::npos) out.query = target.substr(at + 1);
    return out;
  }

  net::HttpResponse get(const std::string& target, const std::string& cookies = "") {
    auto out = request("GET", target);
    if (!cookies.empty()) out.headers.set("Cookie", cookies);
    return ask(std::move(out));
  }

  static net::HttpRequest form(const std::string& target, const std::string& body,
                               const std::string& cookies) {
    auto out = request("POST", target);
    out.body = body;
    out.headers.set("Content-Type", "application/x-www-form-urlencoded");
    out.headers.set("Origin", kOrigin);
    out.headers.set("Sec-Fetch-Site", "same-origin");
    if (!cookies.empty()) out.headers.set("Cookie", cookies);
    return out;
  }

  /// A sign-in form as our page would send it.
  static net::HttpRequest local(const std::string& user, const std::string& password) {
    return form("/auth/local",
                "form=" + form_token("browser") + "&user=" + user + "&password=" + password,
                "__Host-knock-signin=browser");
  }

  role::Me me() {
    role::Me out{
        0, "Ana", kClient, Instant::from_seconds(8 * 3600), Instant::from_seconds(0), "form-token",
        {}};
    auto port = *PortRange::parse("tcp/443");
    out.services.push_back(
        {ServiceName("payroll"), {port}, true, Instant::from_seconds(7800), 2, 2, ""});
    out.services.push_back(
        {ServiceName("ssh"), {port}, true, Instant::from_seconds(60), 2, 1, "edge is late"});
    out.services.push_back({ServiceName("vault"), {port}, false, {}, 1, 0, ""});
    return out;
  }

  FakeCore core;
  CountingRandom random;
  FrontSettings settings{"https://knock.example/", true, {}};
};

inline std::vector<std::string> cookies_of(const net::HttpResponse& response) {
  std::vector<std::string> out;
  for (auto value : response.headers.all("set-cookie")) out.emplace_back(value);
  return out;
}

inline bool says(const net::HttpResponse& response, std::string_view text) {
  return response.body.find(text) != std::string::npos;
}

inline std::string where(const net::HttpResponse& response) {
  return std::string(response.headers.one("location").value_or("(nowhere)"));
}

}  // namespace knock::test
