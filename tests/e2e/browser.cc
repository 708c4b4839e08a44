// SPDX-License-Identifier: Apache-2.0
#include "tests/e2e/browser.h"

#include <strings.h>

#include <charconv>
#include <filesystem>
#include <stdexcept>

#include "base/text.h"
#include "tests/support/controller.h"

namespace knock::test {
namespace {

std::string header(std::string_view head, std::string_view name) {
  for (auto line : split(head, '\n')) {
    auto colon = line.find(':');
    bool same = colon == name.size() && strncasecmp(line.data(), name.data(), colon) == 0;
    if (!same) continue;
    return std::string(trim(line.substr(colon + 1)));
  }
  return {};
}

Page read_page(const std::string& text) {
  Page page;
  page.all = text;
  auto end = text.find("\r\n\r\n");
  if (end == text.npos) return page;
  page.body = text.substr(end + 4);
  auto head = std::string_view(text).substr(0, end);
  auto space = head.find(' ');
  std::from_chars(head.data() + space + 1, head.data() + head.size(), page.status);
  page.location = header(head, "location");
  return page;
}

}  // namespace

Browser::Browser(const Namespace& where, std::string address, std::string portal,
                 std::string certificate, std::string jar)
    : where_(where),
      address_(std::move(address)),
      portal_(std::move(portal)),
      certificate_(std::move(certificate)),
      jar_(std::move(jar)) {}

Page Browser::ask(std::vector<std::string> words, const std::string& path_or_url) {
  bool whole = path_or_url.starts_with("http");
  std::vector<std::string> argv{
      "curl",        "-sS",    "-i",       "--http1.1", "--noproxy",    "*", "--max-time", "10",
      "--interface", address_, "--cookie", jar_,        "--cookie-jar", jar_};
  if (!certificate_.empty()) argv.insert(argv.end(), {"--cacert", certificate_});
  argv.insert(argv.end(), words.begin(), words.end());
  argv.push_back(whole ? path_or_url : portal_ + path_or_url);
  auto done = run_in(where_, argv);
  if (done.exit_code != 0) throw std::runtime_error("curl " + argv.back() + ": " + done.err);
  return read_page(done.out);
}

Page Browser::get(const std::string& path_or_url) { return ask({}, path_or_url); }

Page Browser::post(const std::string& path, const Fields& fields) {
  std::vector<std::string> words{"-H", "Origin: " + portal_};
  for (const auto& [name, value] : fields)
    words.insert(words.end(), {"--data-urlencode", name + "=" + value});
  if (fields.empty()) words.insert(words.end(), {"--data", ""});
  return ask(words, path);
}

std::string Browser::form() {
  constexpr std::string_view kBefore = "name=\"form\" value=\"";
  auto body = get("/").body;
  auto at = body.find(kBefore);
  if (at == body.npos) return {};
  at += kBefore.size();
  return body.substr(at, body.find('"', at) - at);
}

std::string Browser::cookie(const std::string& name) const {
  if (!std::filesystem::exists(jar_)) return {};
  auto jar = read_file(jar_);
  for (auto line : split(jar, '\n')) {
    auto parts = split(line, '\t');
    if (parts.size() == 7 && parts[5] == name) return std::string(trim(parts[6]));
  }
  return {};
}

std::string Browser::start(const std::string& source) {
  return post("/auth/start/" + source, {{"form", form()}}).location;
}

std::string Browser::callback(OidcProvider& provider, const Namespace& provider_is_in,
                              const std::string& source, const std::string& user) {
  auto from = start(source);
  std::string to, why = "the portal did not send the browser to the provider";
  if (!from.empty())
    provider_is_in.run(
        [&] { to = provider.sign_in(from, user, portal_ + "/auth/callback", &why); });
  if (to.empty()) throw std::runtime_error("sign-in of " + user + ": " + why);
  return to;
}

Page Browser::sign_out() { return post("/auth/sign-out", {{"form", form()}}); }

}  // namespace knock::test
