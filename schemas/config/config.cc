// SPDX-License-Identifier: Apache-2.0
#include "schemas/config/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <set>

#include "base/text.h"
#include "schemas/config/parse.h"
#include "schemas/config/url.h"

namespace knock {
namespace {

constexpr std::string_view kSqlite = "sqlite://";

std::optional<ListenAddress> parse_listen(std::string_view text) {
  auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  auto host = text.substr(0, colon);
  auto digits = text.substr(colon + 1);
  bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  auto address = IpAddress::parse(host);
  std::uint16_t port = 0;
  auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  bool is_port = problem == std::errc() && end == digits.data() + digits.size() && port > 0 &&
                 digits[0] != '0';
  bool colons = host.find(':') != std::string_view::npos;
  if (!address || !is_port || colons != bracketed) return std::nullopt;
  return ListenAddress{*address, port};
}

void read_listen(Findings& findings, const YamlNode& node, Config& config) {
  auto word = read_word(findings, node, "listen");
  if (!word) return;
  if (auto listen = parse_listen(*word)) {
    config.listen = *listen;
    return;
  }
  findings.error(Check::bad_listen, node.place,
                 fmt::format("{} is not an address with a port", shown(*word)),
                 "write \"127.0.0.1:8443\" or \"[::1]:8443\"; names are not looked up, and 0.0.0.0 "
                 "means every address");
}

void read_owner(Findings& findings, const YamlNode& node, Config& config) {
  auto word = read_word(findings, node, "owner");
  if (!word) return;
  if (auto owner = OwnerId::parse(*word)) {
    config.owner = *owner;
    return;
  }
  findings.error(
      Check::bad_owner, node.place, fmt::format("{} is not an installation's id", shown(*word)),
      "it is 16 lower-case hexadecimal digits, made once by `knock init`; two installations must "
      "not share one");
}

void read_tls(Findings& findings, const YamlNode& node, std::string_view base, Config& config) {
  Fields fields(findings, node, "`tls`");
  TlsFiles files;
  if (const auto* cert = fields.need("cert"))
    files.certificate = read_path(findings, *cert, "cert", base).value_or("");
  if (const auto* key = fields.need("key"))
    files.key = read_path(findings, *key, "key", base).value_or("");
  fields.finish();
  config.tls = std::move(files);
}

void read_proxies(Findings& findings, const YamlNode& node, Config& config) {
  read_list(findings, node, "trusted_proxies", false, [&](const YamlNode& item) {
    auto prefix = read_prefix(findings, item, "trusted_proxies");
    if (!prefix) return;
    if (prefix->length() == 0)
      findings.error(
          Check::wide_prefix, item.place,
          fmt::format("{} would let anybody claim any source address", prefix->to_string()),
          "name the addresses your own proxies connect from");
    else
      config.trusted_proxies.push_back(*prefix);
  });
  std::ranges::sort(config.trusted_proxies);
}

void read_store(Findings& findings, const YamlNode& node, std::string_view base, Config& config) {
  auto word = read_word(findings, node, "store");
  if (!word) return;
  if (word->starts_with(kSqlite) && word->size() > kSqlite.size()) {
    config.store = std::string(kSqlite) + resolve_path(base, word->substr(kSqlite.size()));
    return;
  }
  // Not repeated: a database URL may hold a password.
  findings.error(Check::bad_store, node.place, "this is not a store of this version",
                 "write sqlite:///var/lib/knock/knock.db; several controllers on one database are "
                 "not supported yet");
}

void read_socket(Findings& findings, const YamlNode& node, std::string_view base, Config& config) {
  constexpr std::size_t kLongest = 107;  // sun_path, with its zero byte
  auto path = read_path(findings, node, "socket", base);
  if (!path) return;
  config.socket = *path;
  if (path->size() > kLongest)
    findings.error(Check::bad_path, node.place,
                   fmt::format("the path of `socket` has {} bytes; a socket's path has at most {}",
                               path->size(), kLongest),
                   "choose a shorter folder, such as /run/knock/admin.sock");
}

void read_front_user(Findings& findings, const YamlNode& node, Config& config) {
  auto word = read_word(findings, node, "front_user");
  if (!word) return;
  config.front_user = *word;
  config.front_user_origin = {"", std::uint32_t(node.place.line), std::uint32_t(node.place.column),
                              std::uint32_t(node.place.length)};
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyz0123456789_-";
  bool sound = !word->empty() && word->size() <= 32 && kAllowed.find((*word)[0]) < 26 &&
               word->find_first_not_of(kAllowed) == std::string::npos;
  if (word->starts_with('_'))
    sound = word->size() <= 32 && word->find_first_not_of(kAllowed) == std::string::npos;
  if (sound && *word != "root") return;
  findings.error(Check::bad_user, node.place,
                 *word == "root"
                     ? std::string("the process that faces the network must not be root")
                     : fmt::format("{} is not a user name", shown(*word)),
                 "name a user that owns nothing, such as `nobody` or `knock-front`");
}

void read_keep(Findings& findings, const YamlNode& node, Config& config) {
  read_list(findings, node, "keep", false, [&](const YamlNode& item) {
    Fields fields(findings, item, "a keep entry");
    KeepPrefix keep;
    bool sound = false;
    if (const auto* text = fields.need("prefix")) {
      auto prefix = read_prefix(findings, *text, "prefix");
      sound = prefix && narrow_enough(findings, *prefix, text->place,
                                      "a kept prefix stays open whatever the policy says: name "
                                      "the hosts or the network of the operators");
      if (sound) keep.prefix = *prefix;
      keep.origin.line = text->place.line;
      keep.origin.column = text->place.column;
      keep.origin.length = text->place.length;
    }
    if (const auto* owner = fields.need("owner"))
      keep.owner = read_text(findings, *owner, "owner").value_or("");
    if (const auto* reason = fields.need("reason"))
      keep.reason = read_text(findings, *reason, "reason").value_or("");
    fields.finish();
    if (sound) config.keep.push_back(std::move(keep));
  });
}

bool is_source(const Config& config, const SignInName& name) {
  return (name.value == "local" && config.local.enabled) ||
         std::ranges::any_of(config.oidc, [&](const auto& oidc) { return oidc.name == name; });
}

/// After the sign-in sources. It must name somebody, or a policy could cut operators unseen.
void read_operators(Findings& findings, const YamlNode& node, Config& config) {
  read_list(findings, node, "operators", false, [&](const YamlNode& item) {
    Fields fields(findings, item, "an operator");
    OperatorEntry entry;
    if (const auto* from = fields.need("from"))
      entry.from = SignInName(read_name(findings, *from, "from").value_or(""));
    if (const auto* group = fields.take("group"))
      entry.group = read_text(findings, *group, "group").value_or("");
    if (const auto* user = fields.take("user"))
      entry.user = read_text(findings, *user, "user").value_or("");
    fields.finish();
    if (entry.from.empty()) return;
    std::string why;
    if (entry.group.empty() == entry.user.empty())
      why = "an operator is named by `group` or by `user`, and not by both";
    else if (!is_source(config, entry.from))
      why = fmt::format("there is no sign-in source {}", shown(entry.from.value));
    if (!why.empty()) {
      findings.error(Check::bad_operator, item.place, why,
                     "write {from: local, group: admins}, or {from: SOURCE, user: SUBJECT} with a "
                     "source of `sign_in`");
      return;
    }
    config.operators.push_back(std::move(entry));
  });
}

std::string host_text(const IpAddress& address) {
  return address.family() == Family::v6 ? "[" + address.to_string() + "]" : address.to_string();
}

void read_public_url(Findings& findings, const YamlNode& node, Config& config) {
  auto word = read_word(findings, node, "public_url");
  if (!word) return;
  auto url = parse_plain_url(*word);
  bool web = url && (url->scheme == "https" || url->scheme == "http");
  bool bare = url && (url->path.empty() || url->path == "/") && !url->extra && !url->userinfo;
  if (!web || !bare) {
    findings.error(Check::bad_url, node.place,
                   "`public_url` is not the address of a site: https://, a host, perhaps a port",
                   "write for example https://knock.example.org, without a path");
    return;
  }
  if (url->scheme == "http" && !url->on_loopback() && !config.insecure_http) {
    findings.error(Check::plain_http, node.place,
                   "`public_url` is plain http: passwords and cookies would be readable on the way",
                   "write https://, or insecure_http: true if a lab really needs it");
    return;
  }
  auto host = url->host.find(':') != std::string::npos ? "[" + url->host + "]" : url->host;
  config.public_url = url->scheme + "://" + host;
  if (url->port) config.public_url += fmt::format(":{}", *url->port);
}

/// What depends on two keys at once. One mistake, one message: the missing name is
/// asked for only where the address itself may stay.
void check_exposure(Findings& findings, const Fields& fields, Config& config) {
  bool loopback = config.listen.address.is_loopback();
  if (!config.tls && !config.insecure_http && !loopback) {
    findings.error(Check::plain_http, fields.key_place("listen"),
                   fmt::format("without `tls` the portal would answer in plain text on {}",
                               host_text(config.listen.address)),
                   "add tls: {cert: …, key: …}, listen on 127.0.0.1 behind a proxy that speaks "
                   "TLS, or write insecure_http: true if a lab really needs it");
    return;
  }
  if (!config.public_url.empty() || fields.key_place("public_url").line != 0) return;
  if (!loopback) {
    findings.error(Check::missing_key, fields.key_place("listen"),
                   "the configuration needs `public_url`: people reach this address under a name",
                   "add public_url: https://knock.example.org");
    return;
  }
  config.public_url = fmt::format("{}://{}:{}", config.tls ? "https" : "http",
                                  host_text(config.listen.address), config.listen.port);
}

Config read_config(Findings& findings, const YamlNode& tree, std::string_view base) {
  Config config;
  config.listen.address = *IpAddress::parse("127.0.0.1");
  Fields fields(findings, tree, "the configuration");
  if (const auto* owner = fields.need("owner")) read_owner(findings, *owner, config);
  auto before_listen = findings.all().size();
  if (const auto* listen = fields.take("listen")) read_listen(findings, *listen, config);
  bool listen_sound = findings.all().size() == before_listen;
  if (const auto* tls = fields.take("tls")) read_tls(findings, *tls, base, config);
  if (const auto* insecure = fields.take("insecure_http"))
    config.insecure_http = read_boolean(findings, *insecure, "insecure_http").value_or(true);
  if (const auto* url = fields.take("public_url")) read_public_url(findings, *url, config);
  if (const auto* proxies = fields.take("trusted_proxies"))
    read_proxies(findings, *proxies, config);
  if (const auto* store = fields.take("store")) read_store(findings, *store, base, config);
  if (const auto* socket = fields.take("socket")) read_socket(findings, *socket, base, config);
  if (const auto* user = fields.take("front_user")) read_front_user(findings, *user, config);
  auto before_policy = findings.all().size();
  if (const auto* policy = fields.need("policy"))
    read_policy_location(findings, *policy, base, config.policy);
  bool policy_sound = findings.all().size() == before_policy;
  if (const auto* sign_in = fields.take("sign_in")) read_sign_in(findings, *sign_in, base, config);
  if (const auto* keep = fields.take("keep")) read_keep(findings, *keep, config);
  if (const auto* operators = fields.take("operators"))
    read_operators(findings, *operators, config);
  if (const auto* notify = fields.take("notify"))
    read_notify(findings, *notify, base, policy_sound ? &config.policy : nullptr, config.notify);
  fields.refuse({"credentials", "audit", "telemetry"});
  fields.finish();
  bool misspelt = std::ranges::any_of(fields.unknown(), [](const auto& pair) {
    return pair.second == "tls" || pair.second == "insecure_http" || pair.second == "public_url";
  });
  if (listen_sound && !misspelt) check_exposure(findings, fields, config);
  return config;
}

std::string lower(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = char(c - 'A' + 'a');
  return text;
}

/// May this line stand in a message? A secret that was written where a reference belongs must not
/// travel into a terminal's history or a log, and a misspelt key or a syntax error hides what a
/// value is: so a line that speaks of a secret, and the one below it, are not shown.
bool speaks_of_secrets(std::string_view line) {
  static constexpr std::array<std::string_view, 4> kWords{"secr", "passw", "token", "cred"};
  if (auto url = line.find("://"); url != std::string_view::npos)
    if (line.find('@', url) != std::string_view::npos)
      return true;  // a user and perhaps a password
  auto text = lower(std::string(line));
  return std::ranges::any_of(
      kWords, [&](std::string_view word) { return text.find(word) != std::string::npos; });
}

Diagnostics to_diagnostics(const Findings& findings, const std::string& file,
                           std::string_view content) {
  std::set<std::uint32_t> hidden;
  for (const auto& finding : findings.all())
    if (finding.check == Check::literal_secret || finding.check == Check::bad_secret ||
        finding.suggestion.find("client_secret") != std::string::npos)
      hidden.insert(finding.place.line);
  Diagnostics out;
  for (const auto& finding : findings.all()) {
    auto diagnostic = to_diagnostic(finding, CheckArea::config, file, content);
    auto line = finding.place.line;
    bool secret = hidden.contains(line) || speaks_of_secrets(diagnostic.line_text) ||
                  (line > 1 && speaks_of_secrets(line_of(content, line - 1)));
    if (secret) diagnostic.line_text.clear();
    out.push_back(std::move(diagnostic));
  }
  sort_diagnostics(out);
  return out;
}

}  // namespace

std::string resolve_path(std::string_view base_directory, std::string_view path) {
  std::filesystem::path written(path);
  if (written.is_absolute() || base_directory.empty()) return written.lexically_normal().string();
  return (std::filesystem::path(base_directory) / written).lexically_normal().string();
}

std::optional<std::string> read_path(Findings& findings, const YamlNode& node, std::string_view key,
                                     std::string_view base_directory) {
  auto text = read_text(findings, node, key);
  if (!text) return std::nullopt;
  return resolve_path(base_directory, *text);
}

std::string Config::store_path() const {
  return store.starts_with(kSqlite) ? store.substr(kSqlite.size()) : std::string();
}

ConfigLoad load_config(std::string_view file_name, std::string_view content,
                       std::string_view base_directory) {
  ConfigLoad out;
  Findings findings(CheckArea::config);
  auto file = std::string(file_name);
  if (auto tree = parse_yaml(content, findings)) {
    auto config = read_config(findings, *tree, base_directory);
    config.front_user_origin.file = file;
    for (auto& keep : config.keep) keep.origin.file = file;
    for (auto& source : config.oidc) source.origin.file = file;
    if (findings.empty()) out.config = std::move(config);
  }
  out.diagnostics = to_diagnostics(findings, file, content);
  return out;
}

}  // namespace knock
