// SPDX-License-Identifier: Apache-2.0
// `sign_in:` of knock.yaml, and the secrets it names.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "schemas/config/parse.h"
#include "schemas/config/url.h"

namespace knock {
namespace {

const std::vector<std::string> kAlgorithms{"RS256", "RS384", "RS512", "PS256", "PS384",
                                           "PS512", "ES256", "ES384", "ES512", "EdDSA"};

bool is_variable(std::string_view text) {
  constexpr std::string_view kAllowed =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
  return !text.empty() && (text[0] < '0' || text[0] > '9') &&
         text.find_first_not_of(kAllowed) == std::string_view::npos;
}

void read_issuer(Findings& findings, const YamlNode& node, OidcSettings& settings) {
  auto word = read_word(findings, node, "issuer");
  if (!word) return;
  auto url = parse_plain_url(*word);
  bool web = url && (url->scheme == "https" || url->scheme == "http");
  if (!web || url->userinfo || url->extra) {
    findings.error(Check::bad_issuer, node.place, "`issuer` is not the address of a provider",
                   "copy it exactly as the provider publishes it: https://id.example.org/realm, "
                   "without a query");
    return;
  }
  if (url->scheme == "http" && !url->on_loopback()) {
    findings.error(Check::plain_http, node.place,
                   "`issuer` is plain http: whoever sits on the way could sign in as anybody",
                   "write https://; http:// is for a provider on 127.0.0.1 or [::1]");
    return;
  }
  settings.issuer = *word;
}

void read_algorithms(Findings& findings, const YamlNode& node, OidcSettings& settings) {
  std::vector<std::string> algorithms;
  read_list(findings, node, "algorithms", true, [&](const YamlNode& item) {
    auto word = read_word(findings, item, "algorithms");
    if (!word) return;
    if (std::ranges::find(kAlgorithms, *word) != kAlgorithms.end()) {
      if (std::ranges::find(algorithms, *word) == algorithms.end()) algorithms.push_back(*word);
      return;
    }
    findings.error(Check::bad_algorithm, item.place,
                   fmt::format("{} is not an algorithm that proves who signed", shown(*word)),
                   "write one of " + list_of(kAlgorithms));
  });
  settings.algorithms = std::move(algorithms);
}

void read_token_auth(Findings& findings, const YamlNode& node, OidcSettings& settings) {
  auto word = read_word(findings, node, "token_auth");
  if (!word) return;
  if (*word != "basic" && *word != "post")
    return findings.error(
        Check::bad_token_auth, node.place,
        fmt::format("{} is not a way to send the client's secret", shown(*word)),
        "write basic or post, or leave it out: then the provider's description decides");
  if (!settings.client_secret)
    return findings.error(Check::bad_token_auth, node.place,
                          "`token_auth` says how a secret is sent, and this sign-in has none",
                          "add client_secret, or leave token_auth out for a public client");
  settings.token_auth = *word == "basic" ? TokenAuth::basic : TokenAuth::post;
}

/// A scope token of RFC 6749 section 3.3.
bool is_scope(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return c > 0x20 && c < 0x7f && c != '"' && c != '\\';
  });
}

void read_scopes(Findings& findings, const YamlNode& node, OidcSettings& settings) {
  auto before = findings.all().size();
  std::vector<std::string> scopes;
  read_list(findings, node, "scopes", true, [&](const YamlNode& item) {
    auto word = read_word(findings, item, "scopes");
    if (!word) return;
    if (is_scope(*word))
      scopes.push_back(*word);
    else
      findings.error(Check::bad_scope, item.place, fmt::format("{} is not a scope", shown(*word)),
                     "a scope is one word, such as openid, email or groups");
  });
  if (findings.all().size() == before && std::ranges::find(scopes, "openid") == scopes.end())
    findings.error(Check::bad_scope, node.place, "`scopes` lacks openid",
                   "add openid: without it the provider proves nothing about who signed in");
  settings.scopes = std::move(scopes);
}

void read_allow_networks(Findings& findings, const YamlNode& node, OidcSettings& settings) {
  read_list(findings, node, "allow_networks", false, [&](const YamlNode& item) {
    if (auto prefix = read_prefix(findings, item, "allow_networks"))
      settings.allow_networks.push_back(*prefix);
  });
  std::ranges::sort(settings.allow_networks);
}

void read_oidc(Findings& findings, Fields& fields, std::string_view base, OidcSettings& settings) {
  if (const auto* issuer = fields.need("issuer")) read_issuer(findings, *issuer, settings);
  if (const auto* id = fields.need("client_id"))
    settings.client_id = read_text(findings, *id, "client_id").value_or("");
  if (const auto* secret = fields.take("client_secret"))
    settings.client_secret = read_secret(findings, *secret, "client_secret", base);
  if (const auto* auth = fields.take("token_auth")) read_token_auth(findings, *auth, settings);
  if (const auto* algorithms = fields.take("algorithms"))
    read_algorithms(findings, *algorithms, settings);
  if (const auto* scopes = fields.take("scopes")) read_scopes(findings, *scopes, settings);
  if (const auto* claim = fields.take("groups_claim"))
    settings.groups_claim = read_text(findings, *claim, "groups_claim").value_or("");
  if (const auto* networks = fields.take("allow_networks"))
    read_allow_networks(findings, *networks, settings);
  if (const auto* most = fields.take("max_session"))
    settings.max_session = read_duration(findings, *most, "max_session").value_or(Duration{});
  if (const auto* title = fields.take("title"))
    settings.title = read_text(findings, *title, "title").value_or("");
}

void read_local(Findings& findings, Fields& fields, LocalSettings& settings) {
  if (const auto* enabled = fields.take("enabled"))
    settings.enabled = read_boolean(findings, *enabled, "enabled").value_or(false);
  if (const auto* most = fields.take("max_session"))
    settings.max_session = read_duration(findings, *most, "max_session").value_or(Duration{});
}

/// "local" is knock's own accounts and "grant" an operator's word; no other source may speak under
/// these names.
bool name_fits(Findings& findings, const YamlNode& name, std::string_view type) {
  if (name.text == "grant" || (name.text == "local") != (type == "local")) {
    findings.error(
        Check::name_taken, name.place,
        name.text == "grant"
            ? std::string("`grant` is the name of sessions that an operator grants")
        : name.text == "local"
            ? std::string("`local` is the name of knock's own accounts")
            : fmt::format("knock's own accounts are named `local`, not {}", shown(name.text)),
        name.text == "local" || name.text == "grant" ? "choose another name for this provider"
                                                     : "write `local: {type: local}`");
    return false;
  }
  return true;
}

void read_source(Findings& findings, const YamlNode& name, const YamlNode& body,
                 std::string_view base, Config& config) {
  read_name(findings, name, "sign_in");
  Fields fields(findings, body, "a sign-in source");
  const auto* type = fields.need("type");
  if (type == nullptr) {
    // Which keys belong here follows from the type; without it only its absence is reported.
    if (fields.is_map() && fields.key_place("type").line == 0)
      findings.error(Check::missing_key, name.place,
                     fmt::format("sign-in source {} needs `type`", shown(name.text)),
                     "add type: oidc or type: local");
    return;
  }
  auto word = read_word(findings, *type, "type");
  if (!word) return;
  if (*word != "oidc" && *word != "local") {
    auto meant = did_you_mean(*word, {"oidc", "local"});
    findings.error(
        Check::unknown_type, type->place,
        fmt::format("{} is not a kind of sign-in of this version", shown(*word)),
        meant ? fmt::format("did you mean `{}`?", *meant) : "the kinds are oidc and local");
    return;
  }
  if (!name_fits(findings, name, *word)) return;
  if (*word == "local") {
    read_local(findings, fields, config.local);
  } else {
    OidcSettings settings;
    settings.name = SignInName(name.text);
    settings.origin = range_of("", name.place);
    read_oidc(findings, fields, base, settings);
    config.oidc.push_back(std::move(settings));
  }
  fields.finish();
}

}  // namespace

std::optional<SecretReference> read_secret(Findings& findings, const YamlNode& node,
                                           std::string_view key, std::string_view base_directory) {
  using Kind = SecretReference::Kind;
  struct Form {
    std::string_view prefix;
    Kind kind;
  };
  static constexpr std::array kForms{Form{"env:", Kind::environment}, Form{"file:", Kind::file},
                                     Form{"exec:", Kind::command}};
  auto word = read_word(findings, node, key);
  if (!word) return std::nullopt;
  for (const auto& form : kForms) {
    if (!word->starts_with(form.prefix)) continue;
    std::string value(trim(std::string_view(*word).substr(form.prefix.size())));
    bool control =
        std::ranges::any_of(value, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
    if (value.empty() || control || (form.kind == Kind::environment && !is_variable(value))) {
      findings.error(Check::bad_secret, node.place,
                     fmt::format("`{}` names no place after {}", key, form.prefix),
                     "write env:NAME with a variable's name, file:PATH, or exec:COMMAND");
      return std::nullopt;
    }
    if (form.kind == Kind::file) value = resolve_path(base_directory, value);
    return SecretReference{form.kind, std::move(value)};
  }
  findings.error(Check::literal_secret, node.place,
                 fmt::format("`{}` is written out here; files like this one are copied, backed up "
                             "and shown to people",
                             key),
                 "say where it is read from: env:NAME, file:PATH or exec:COMMAND; and take this "
                 "one as leaked if the file was ever shared");
  return std::nullopt;
}

void read_sign_in(Findings& findings, const YamlNode& node, std::string_view base_directory,
                  Config& config) {
  Fields sources(findings, node, "`sign_in`");
  if (!sources.is_map()) return;
  for (std::size_t i = 0; i + 1 < node.children.size(); i += 2)
    read_source(findings, node.children[i], node.children[i + 1], base_directory, config);
  std::ranges::sort(config.oidc, {}, &OidcSettings::name);
}

}  // namespace knock
