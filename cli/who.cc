// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "cli/admin_client.h"
#include "cli/json_view.h"
#include "net/http_client.h"

namespace knock::cli {
namespace {

int who(const Global& global, const std::string& service, const std::string& at) {
  std::vector<std::pair<std::string, std::string>> query{{"service", service}};
  if (!at.empty()) query.emplace_back("at", at);
  auto answer = AdminClient::of(global).get("/api/v1/who?" + net::encode_form(query));
  if (!answer) return fail_with(answer.error());
  if (global.json) {
    print(boost::json::serialize(*answer) + "\n");
    return kDone;
  }
  std::vector<std::vector<std::string>> rows{
      {"WHO", "FROM", "TARGET", "RULE", "SINCE", "UNTIL", "POLICY"}};
  for (const auto& entry : list(*answer, "entries"))
    for (const auto& cause : list(entry, "causes"))
      if (text(cause, "service") == service)
        rows.push_back(
            {text(cause, "who"), text(entry, "prefix"), text(entry, "target"), text(cause, "rule"),
             text(entry, "since"),
             text(entry, "removed").empty() ? text(entry, "until") : text(entry, "removed"),
             text(entry, "policy").substr(0, 15)});
  print(fmt::format("Who could reach {} at {}:\n\n", printable(service), text(*answer, "at")));
  print(rows.size() == 1 ? std::string("nobody\n") : table(rows));
  return kDone;
}

}  // namespace

void add_who(Commands& commands) {
  auto service = std::make_shared<std::string>(), at = std::make_shared<std::string>();
  auto* command = commands.add(commands.app, "who", "Who can reach a service, or could at a time",
                               "knock who --service ssh --at 2026-11-21T10:04:00Z");
  command->add_option("--service", *service, "The service")->required();
  command->add_option("--at", *at, "A time in RFC 3339; now without it");
  commands.run(command, [&commands, service, at] { return who(commands.global, *service, *at); });
}

}  // namespace knock::cli
