// SPDX-License-Identifier: Apache-2.0
// What front says to machines before core is asked, and what it hands over.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "schemas/key/api_key.h"
#include "server/front/api_gate.h"
#include "server/front/front.h"
#include "tests/unit/server/front_fake_core.h"

namespace knock::test {
namespace {

using server::ApiBodies;
using server::Front;
using ::testing::HasSubstr;

class FrontApi : public ::testing::Test {
 protected:
  FrontApi() {
    token_ = std::string(make_token(random_).token.reveal());
    core_.next = role::ApiAnswer{0, 200, "application/json", 0, "{\"ready\":true}\n"};
  }

  net::HttpRequest request(const std::string& method, const std::string& path,
                           const std::string& authorization) {
    net::HttpRequest out;
    out.method = method;
    out.path = out.target = path;
    out.peer = peer_;
    if (!authorization.empty()) out.headers.set("Authorization", authorization);
    if (method == "POST") out.headers.set("Content-Type", "application/json");
    return out;
  }
  net::HttpResponse ask(net::HttpRequest sent) {
    Front front(core_, random_, settings_);
    net::HttpResponse got;
    front.handle(std::move(sent), [&](net::HttpResponse response) { got = std::move(response); });
    return got;
  }
  std::size_t handed_over() const { return core_.all<role::ApiCall>().size(); }

  SystemRandom random_;
  FakeCore core_;
  server::FrontSettings settings_{"https://knock.example", true, {}};
  IpAddress peer_ = *IpAddress::parse("198.51.100.7");
  std::string token_;
};

TEST_F(FrontApi, hands_over_what_it_was_told_and_answers_as_core_says) {
  auto sent = request("POST", "/api/v1/plan", "Bearer " + token_);
  sent.query = "a=b";
  sent.body = "{}";
  sent.headers.set("Cookie", "__Host-knock=somebody");
  auto got = ask(std::move(sent));
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(got.body, "{\"ready\":true}\n");
  EXPECT_EQ(got.headers.one("content-type"), "application/json");
  EXPECT_EQ(got.headers.one("cache-control"), "no-store");
  ASSERT_EQ(handed_over(), 1u);
  auto call = core_.all<role::ApiCall>()[0];
  EXPECT_EQ(call.method + " " + call.path + " " + call.query + " " + call.body,
            "POST /api/v1/plan a=b {}");
  EXPECT_EQ(call.token, token_);
  EXPECT_EQ(call.address, peer_);
}

TEST_F(FrontApi, without_something_like_a_token_core_is_not_asked) {
  for (const std::string& row :
       {std::string(), std::string("Bearer"), std::string("Bearer "), "bearer " + token_,
        "Basic " + token_, token_, "Bearer  " + token_, "Bearer " + token_ + " ",
        "Bearer " + token_ + "A", "Bearer " + std::string(8000, 'x'),
        std::string("Bearer knock_")}) {
    auto got = ask(request("GET", "/api/v1/status", row));
    EXPECT_EQ(got.status, 401) << row.substr(0, 80);
    EXPECT_TRUE(got.headers.one("www-authenticate"));
    EXPECT_EQ(got.headers.one("content-type"), "application/problem+json");
    EXPECT_THAT(got.body, HasSubstr("\"code\":\"key.missing\""));
  }
  auto twice = request("GET", "/api/v1/status", "Bearer " + token_);
  twice.headers.fields.emplace_back("authorization", "Bearer " + token_);
  EXPECT_EQ(ask(twice).status, 401);
  auto by_query = request("GET", "/api/v1/status", "");
  by_query.query = "token=" + token_;
  EXPECT_EQ(ask(by_query).status, 401);
  EXPECT_EQ(handed_over(), 0u);
}

TEST_F(FrontApi, takes_no_token_in_clear_from_elsewhere) {
  settings_.secure = false;
  auto got = ask(request("GET", "/api/v1/status", "Bearer " + token_));
  EXPECT_EQ(got.status, 403);
  EXPECT_THAT(got.body, HasSubstr("tls.required"));
  EXPECT_EQ(handed_over(), 0u);
  for (const char* here : {"127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"}) {
    peer_ = *IpAddress::parse(here);
    EXPECT_EQ(ask(request("GET", "/api/v1/status", "Bearer " + token_)).status, 200) << here;
  }
}

TEST_F(FrontApi, a_browser_cannot_send_a_body_here_without_asking_first) {
  for (const char* type :
       {"text/plain", "application/x-www-form-urlencoded", "multipart/form-data"}) {
    auto sent = request("POST", "/api/v1/plan", "Bearer " + token_);
    sent.headers.set("Content-Type", type);
    EXPECT_EQ(ask(sent).status, 415) << type;
  }
  for (const char* method : {"PUT", "DELETE", "OPTIONS", "PATCH"})
    EXPECT_EQ(ask(request(method, "/api/v1/plan", "Bearer " + token_)).status, 405) << method;
  EXPECT_EQ(handed_over(), 0u);
}

TEST_F(FrontApi, what_core_should_not_say_is_not_passed_on) {
  for (const role::ToFront& row :
       {role::ToFront(role::ApiAnswer{0, 200, "text/html", 0, "<script>"}),
        role::ToFront(role::ApiAnswer{0, 99, "application/json", 0, "{}"}),
        role::ToFront(role::ApiAnswer{0, 302, "", 0, ""}), role::ToFront(role::Ok{})}) {
    core_.next = row;
    auto got = ask(request("GET", "/api/v1/status", "Bearer " + token_));
    EXPECT_EQ(got.status, 503);
    EXPECT_EQ(got.headers.one("content-type"), "application/problem+json");
  }
  core_.next = role::ApiAnswer{0, 200, "application/x-ndjson", 0, "{}\n"};
  auto file = ask(request("GET", "/api/v1/status", "Bearer " + token_));
  EXPECT_EQ(file.headers.one("content-type"), "application/x-ndjson") << "a plan file";
  core_.next = role::ApiAnswer{0, 429, "application/problem+json", 60, "{}"};
  auto limited = ask(request("GET", "/api/v1/status", "Bearer " + token_));
  EXPECT_EQ(limited.status, 429);
  EXPECT_EQ(limited.headers.one("retry-after"), "60");
}

TEST_F(FrontApi, long_bodies_are_few_and_only_where_they_are_meant) {
  net::HttpLimits usual;
  ApiBodies bodies({}, usual);
  auto allowed = [&](const std::string& method, const std::string& path, const std::string& field) {
    return bodies.allowance(request(method, path, field)).bytes;
  };
  auto bearer = "Bearer " + token_;
  EXPECT_EQ(allowed("POST", "/api/v1/plan", bearer), role::kLongestApiBody);
  EXPECT_EQ(allowed("POST", "/api/v1/apply", bearer), role::kLongestApiBody);
  EXPECT_EQ(allowed("GET", "/api/v1/plan", bearer), usual.body_bytes);
  EXPECT_EQ(allowed("POST", "/api/v1/plan", ""), usual.body_bytes);
  EXPECT_EQ(allowed("POST", "/api/v1/plan", "Bearer knock_x"), usual.body_bytes);
  EXPECT_EQ(allowed("POST", "/api/v1/sessions", bearer), usual.body_bytes);
  EXPECT_EQ(allowed("POST", "/auth/local", bearer), usual.body_bytes);

  std::vector<net::BodyAllowance> held;
  auto take = [&](const char* from) {
    peer_ = *IpAddress::parse(from);
    held.push_back(bodies.allowance(request("POST", "/api/v1/plan", bearer)));
    return held.back().bytes > usual.body_bytes;
  };
  EXPECT_TRUE(take("203.0.113.7"));
  EXPECT_TRUE(take("203.0.113.7"));
  EXPECT_FALSE(take("203.0.113.7"));
  EXPECT_EQ(held.back().otherwise, 503) << "later it may fit";
  EXPECT_TRUE(take("2001:db8::1"));
  EXPECT_TRUE(take("2001:db8::2"));
  EXPECT_FALSE(take("2001:db8::3")) << "one /64 is one address";
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(take(("203.0.113." + std::to_string(100 + i)).c_str()));
  EXPECT_FALSE(take("203.0.113.200")) << "eight in all";
  held.clear();
  EXPECT_TRUE(take("203.0.113.7"));
}

}  // namespace
}  // namespace knock::test
