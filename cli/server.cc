// SPDX-License-Identifier: Apache-2.0
#include "cli/server.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cstdlib>
#include <memory>

#include "base/ip.h"
#include "base/prefix.h"
#include "base/text.h"
#include "cli/admin_client.h"
#include "cli/json_view.h"
#include "schemas/key/api_key.h"
#include "server/core/review.h"

namespace knock::cli {
namespace {

/// A part of a URL, as libcurl will read it too.
std::string part_of(CURLU* url, CURLUPart part) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, 0) != CURLUE_OK) return "";
  std::string out(text);
  curl_free(text);
  return out;
}

bool is_this_machine(std::string host) {
  if (host == "localhost") return true;
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  auto address = IpAddress::parse(host);
  return address && (Prefix::of(*IpAddress::parse("127.0.0.0"), 8).contains(*address) ||
                     *address == *IpAddress::parse("::1"));
}

}  // namespace

Result<std::string> server_address(const std::string& written) {
  auto refuse = [&](const std::string& why) {
    return fail(ErrorKind::invalid, "--server " + printable(written) + ": " + why);
  };
  std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> url(curl_url(), curl_url_cleanup);
  if (curl_url_set(url.get(), CURLUPART_URL, written.c_str(), CURLU_DISALLOW_USER) != CURLUE_OK)
    return refuse("this is no address; write https://knock.example.org");
  auto scheme = part_of(url.get(), CURLUPART_SCHEME), host = part_of(url.get(), CURLUPART_HOST);
  if (!part_of(url.get(), CURLUPART_QUERY).empty() ||
      !part_of(url.get(), CURLUPART_FRAGMENT).empty())
    return refuse("an address ends before ? and #");
  if (scheme != "https" && !(scheme == "http" && is_this_machine(host)))
    return refuse("a token goes over https only; http is for this very machine");
  auto out = written;
  while (out.ends_with('/')) out.pop_back();
  return out;
}

Result<Secret> token_from_environment() {
  const char* token = std::getenv("KNOCK_TOKEN");
  if (token == nullptr || *token == '\0')
    return fail(ErrorKind::unauthorized,
                "KNOCK_TOKEN is not set: make a token on the controller's machine (knock key add "
                "NAME --scope plan:read) and give it to this job as a secret variable");
  if (!hash_of_token(token))
    return fail(ErrorKind::unauthorized,
                fmt::format("KNOCK_TOKEN holds {} characters that are no token of knock's: one is "
                            "knock_ and 48 more; was it cut, or quoted twice?",
                            std::string_view(token).size()));
  return Secret(token);
}

bool asks_a_server(std::string_view command) {
  constexpr std::array<std::string_view, 6> kThese{"plan", "apply", "status",
                                                   "why",  "who",   "session"};
  return std::find(kThese.begin(), kThese.end(), command) != kThese.end();
}

Status add_candidate(const PolicyFlags& flags, boost::json::object& body) {
  if (!flags.given()) return {};
  Config nothing;
  KNOCK_ASSIGN(auto source, policy_source(location_of(flags, nothing), nothing));
  KNOCK_ASSIGN(auto revision, source->poll(Deadline::in(Duration::seconds(60))));
  KNOCK_ASSIGN(auto snapshot, source->read(revision));
  boost::json::array files;
  for (const PolicyFile& file : snapshot.files)
    files.push_back(boost::json::object{{"path", file.path}, {"content", file.content}});
  body["files"] = std::move(files);
  body["revision"] = revision.value;
  return {};
}

std::string server_words(const Global& global) {
  return global.server.empty() ? "" : " --server " + printable(global.server);
}

int server_plan(const Global& global, const ServerPlanFlags& flags) {
  auto format = format_of(global, flags.view);
  if (!format) return fail_with(kUsage, "--json is --format json; leave one of them out");
  boost::json::object body{
      {"format", *format}, {"view", flags.view.view}, {"color", global.colored()}};
  boost::json::array targets;
  for (const auto& name : flags.targets) targets.emplace_back(name);
  if (!targets.empty()) body["targets"] = std::move(targets);
  if (auto added = add_candidate(flags.policy, body); !added) return fail_with(added.error());
  if (!flags.sessions.empty()) {
    auto made_up = boost::json::parse(flags.sessions);
    for (auto& [name, value] : made_up.as_object())
      if (name != "where") body[name] = std::move(value);
  }
  if (!flags.at.empty()) body["at"] = flags.at;
  if (flags.fetched.pull > 0) body["pull"] = flags.fetched.pull;
  if (!flags.fetched.branch.empty()) body["branch"] = flags.fetched.branch;
  if (!flags.fetched.commit.empty()) body["commit"] = flags.fetched.commit;
  if (flags.fetched.post) body["post"] = true;
  std::string code;
  auto answer = AdminClient::of(global).post("/api/v1/plan", body, &code);
  if (!answer) return fail_with(code_for(answer.error(), code), answer.error().text());
  const auto& document = member(*answer, "text");
  if (!document.is_string()) return fail_with(kError, "the controller's answer holds no plan");
  print(document.as_string());
  auto review = text(*answer, "review");
  if (truth(*answer, "what_if"))
    say(global, "What if: nothing of it is applied, so it has no review hash.");
  else if (*format == "markdown")
    print(review_footer(review));
  else
    say(global, "Review hash " + review);
  return flags.detailed && !truth(*answer, "empty") ? kChanges : kDone;
}

int apply_reviewed(const Global& global, const std::string& hash) {
  std::string id;
  auto answer = AdminClient::of(global).post("/api/v1/apply", {{"reviewed", hash}}, &id);
  if (!answer)
    return fail_with(
        answer.error().kind == ErrorKind::conflict ? int(kStalePlan) : code_for(answer.error(), id),
        answer.error().text());
  auto revision = text(*answer, "revision");
  if (truth(*answer, "was_in_force")) {
    print(fmt::format("{} was in force already; nothing was done.\n", revision));
    return kDone;
  }
  int code = kDone;
  for (const auto& problem : list(*answer, "problems"))
    code = fail_with(kPartly, printable(std::string_view(problem.as_string())));
  if (auto held = number(*answer, "held"); held > 0)
    code = fail_with(kGuarded,
                     fmt::format("in force, but a guard holds {}; on the controller's machine, "
                                 "knock plan shows what, and knock apply --ack HASH says yes",
                                 counted(std::size_t(held), "change", "changes")));
  if (code == kDone) print(fmt::format("{} is in force, as it was reviewed.\n", revision));
  return code;
}

}  // namespace knock::cli
