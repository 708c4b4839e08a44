// SPDX-License-Identifier: Apache-2.0
#include "sso/oidc/discovery.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <optional>

#include "base/ip.h"
#include "base/text.h"
#include "schemas/json/strict_json.h"

namespace knock::sso {
namespace {

namespace json = boost::json;

tl::unexpected<Refusal> malformed(std::string why) {
  return refuse("discovery.format", "the provider's description of itself: " + std::move(why));
}

Verdict<std::string> endpoint(const json::object& from, std::string_view name) {
  auto* value = from.if_contains(name);
  if (value == nullptr || !value->is_string())
    return malformed(fmt::format("it has no \"{}\"", name));
  std::string url(value->as_string());
  if (!is_acceptable_url(url))
    return refuse("discovery.endpoint",
                  fmt::format("the provider's {} is {}: it must be https, or http on loopback",
                              name, printable(url.substr(0, 200))));
  return url;
}

/// A list of text that may be absent.
Verdict<std::optional<std::vector<std::string>>> texts(const json::object& from,
                                                       std::string_view name) {
  auto* value = from.if_contains(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_array()) return malformed(fmt::format("\"{}\" is not a list", name));
  std::vector<std::string> out;
  for (auto& each : value->as_array()) {
    if (!each.is_string())
      return malformed(fmt::format("\"{}\" holds something that is not text", name));
    out.emplace_back(each.as_string());
  }
  return out;
}

bool has(const std::vector<std::string>& list, std::string_view wanted) {
  return std::find(list.begin(), list.end(), wanted) != list.end();
}

std::optional<std::string_view> host_of(std::string_view authority) {
  if (authority.find('@') != authority.npos) return std::nullopt;
  if (authority.starts_with('[')) {
    auto end = authority.find(']');
    if (end == authority.npos) return std::nullopt;
    return authority.substr(1, end - 1);
  }
  return authority.substr(0, authority.find(':'));
}

Verdict<void> read_algorithms(const json::object& from,
                              const std::vector<std::string>& configured) {
  auto supported = texts(from, "id_token_signing_alg_values_supported");
  if (!supported) return tl::unexpected(supported.error());
  if (!*supported || std::any_of(configured.begin(), configured.end(),
                                 [&](auto& a) { return has(**supported, a); }))
    return {};
  return refuse(
      "discovery.algorithm",
      fmt::format("the provider signs with {}, and this sign-in accepts {}: put one of the "
                  "provider's into algorithms",
                  printable(join(**supported, ", ").substr(0, 200)), join(configured, ", ")));
}

}  // namespace

bool is_acceptable_url(std::string_view url) {
  for (unsigned char c : url)
    if (c <= ' ' || c >= 0x7f || c == '#' || c == '\\' || c == '"' || c == '<' || c == '>')
      return false;
  bool secure = url.starts_with("https://");
  if (!secure && !url.starts_with("http://")) return false;
  url.remove_prefix(secure ? 8 : 7);
  auto host = host_of(url.substr(0, url.find_first_of("/?")));
  if (!host || host->empty()) return false;
  if (secure || *host == "localhost") return true;
  auto address = IpAddress::parse(*host);
  return address && address->is_loopback();
}

std::string discovery_url(std::string_view issuer) {
  while (issuer.ends_with('/')) issuer.remove_suffix(1);
  return std::string(issuer) + "/.well-known/openid-configuration";
}

Verdict<Discovery> parse_discovery(std::string_view text, std::string_view issuer,
                                   const std::vector<std::string>& algorithms) {
  auto document = parse_strict(text);
  if (!document) return malformed(document.error().message);
  auto* from = document->if_object();
  if (from == nullptr) return malformed("it is not an object");
  Discovery out;
  auto* named = from->if_contains("issuer");
  if (named == nullptr || !named->is_string()) return malformed("it has no \"issuer\"");
  out.issuer = named->as_string();
  if (out.issuer != issuer)
    return refuse(
        "discovery.issuer",
        fmt::format("the provider calls itself {}, and knock.yaml calls it {}: they must be "
                    "the same to the letter",
                    printable(out.issuer.substr(0, 200)), printable(issuer)));
  for (auto& [name, to] :
       {std::pair{"authorization_endpoint", &out.authorization_endpoint},
        std::pair{"token_endpoint", &out.token_endpoint}, std::pair{"jwks_uri", &out.jwks_uri}}) {
    auto url = endpoint(*from, name);
    if (!url) return tl::unexpected(url.error());
    *to = std::move(*url);
  }
  if (auto* flag = from->if_contains("authorization_response_iss_parameter_supported")) {
    if (!flag->is_bool())
      return malformed("\"authorization_response_iss_parameter_supported\" is not true or false");
    out.names_itself_in_callback = flag->as_bool();
  }
  auto methods = texts(*from, "token_endpoint_auth_methods_supported");
  if (!methods) return tl::unexpected(methods.error());
  if (*methods)
    out.client_secret_in_body =
        !has(**methods, "client_secret_basic") && has(**methods, "client_secret_post");
  auto checked = read_algorithms(*from, algorithms);
  if (!checked) return tl::unexpected(checked.error());
  return out;
}

}  // namespace knock::sso
