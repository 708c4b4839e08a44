// SPDX-License-Identifier: Apache-2.0
// Plans: of the policy in force, of a candidate, and to be saved.
#include <fmt/format.h>

#include <boost/json.hpp>

#include "base/text.h"
#include "reconciler/core/render.h"
#include "schemas/plan/codec.h"
#include "schemas/plan/view.h"
#include "server/admin/call.h"
#include "server/admin/reply.h"
#include "server/core/review.h"

namespace knock {
namespace {

namespace json = boost::json;
using net::HttpResponse;

constexpr std::uint64_t kLargestPull = 1'000'000'000;
constexpr std::size_t kLongestBranch = 200;

bool is_commit(const std::string& text) {
  return text.size() == 40 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

Status check_format(const std::string& format) {
  for (const char* known : {"json", "text", "markdown", "html"})
    if (format == known) return {};
  return fail(ErrorKind::invalid, "`format` is json, text, markdown or html");
}

std::string plan_document(const Plan& plan, const std::string& format,
                          const RenderOptions& options) {
  std::string out;
  Write write = [&](std::string_view piece) { out += piece; };
  if (format == "json") write_json(plan, write, options.view);
  if (format == "text") write_text(plan, options, write);
  if (format == "markdown") write_markdown(plan, options, write);
  if (format == "html") write_html(plan, options, write);
  return out;
}

/// `text` is what a person reads (members `text`, `id`, `changes`, `guards`); `json` is the plan
/// itself.
Result<HttpResponse> plan_reply(const Plan& plan, const std::string& format, bool color) {
  if (format == "json") {
    std::string out;
    write_json(plan, [&](std::string_view piece) { out += piece; });
    return reply(200, std::move(out));
  }
  if (format != "text") return fail(ErrorKind::invalid, "`format` is json or text");
  json::object out{{"text", to_text(plan, {color, "", ""})},
                   {"id", to_hex(plan.id)},
                   {"empty", plan.empty()},
                   {"guards", plan.guards.size()}};
  return reply(200, json::serialize(out));
}

}  // namespace

HttpResponse AdminCall::refused(const Error& error, const Diagnostics& problems) {
  auto view = widest();
  // Warnings of a sound policy are not why.
  if (error.kind != ErrorKind::invalid) return problem(as_seen(error, view));
  return problem(as_seen(error, view), as_seen(problems, args_.has("files") ? View::full : view));
}

Result<std::vector<TargetName>> AdminCall::targets() {
  KNOCK_ASSIGN(auto names, args_.texts("targets"));
  std::vector<TargetName> out;
  for (auto& name : names) out.emplace_back(std::move(name));
  return out;
}

Result<View> AdminCall::asked_view() {
  KNOCK_ASSIGN(auto word, args_.text_or("view", std::string(to_string(View::shape))));
  auto view = view_from(word);
  if (!view) return fail(ErrorKind::invalid, "`view` is shape, people or full");
  if (*view > widest())
    return fail(
        ErrorKind::unauthorized,
        fmt::format("the view {} needs a key with {}", word,
                    to_string(*view == View::full ? KeyScope::audit_read : KeyScope::plan_people)));
  return *view;
}

Result<std::optional<CandidateName>> AdminCall::named_candidate() {
  CandidateName name;
  KNOCK_ASSIGN(name.pull, args_.number_or("pull", 0));
  KNOCK_ASSIGN(name.branch, args_.text_or("branch", ""));
  KNOCK_ASSIGN(name.commit, args_.text_or("commit", ""));
  int named = int(args_.has("pull")) + int(args_.has("branch")) + int(args_.has("files"));
  if (named > 1)
    return fail(ErrorKind::invalid,
                "`pull`, `branch` and `files` are three ways to name one "
                "candidate; say one of them");
  if ((args_.has("pull") && (name.pull == 0 || name.pull > kLargestPull)) ||
      (args_.has("branch") && (name.branch.empty() || name.branch.size() > kLongestBranch)))
    return fail(ErrorKind::invalid, "`pull` is a number from 1, `branch` a name of 1 to 200 bytes");
  if (args_.has("commit") && !is_commit(name.commit))
    return fail(ErrorKind::invalid, "`commit` is not a whole commit id of 40 hexadecimal digits");
  if (name.pull == 0 && name.branch.empty()) {
    if (name.commit.empty()) return std::optional<CandidateName>();
    return fail(ErrorKind::invalid, "`commit` says what `pull` or `branch` must end in: name one");
  }
  return std::optional(std::move(name));
}

Result<ProposedChange> AdminCall::proposed(Diagnostics& problems) {
  KNOCK_ASSIGN(auto name, named_candidate());
  if (name) return fetch_change(c_, *name);
  ProposedChange out;
  if (args_.has("files")) {
    KNOCK_ASSIGN(out.files, args_.files("files"));
  } else {
    KNOCK_ASSIGN(auto newest, c_.policy_keeper().newest(problems));
    out.files = std::move(newest.snapshot.files);
  }
  out.revision = content_revision(out.files);
  return out;
}

Result<net::HttpResponse> AdminCall::plan() {
  KNOCK_ASSIGN(auto only, targets());
  KNOCK_ASSIGN(auto format, args_.text_or("format", "json"));
  KNOCK_ASSIGN(auto color, args_.boolean_or("color", false));
  bool fetched = args_.has("pull") || args_.has("branch") || args_.has("commit");
  if (key_ || fetched || args_.has("view")) return viewed_plan(only, format, color);
  if (format == "saved") return saved_plan(only);
  if (!args_.has("files")) {
    auto policy = c_.reconciler().policy();
    if (policy == nullptr) return fail(ErrorKind::unavailable, c_.not_ready());
    KNOCK_ASSIGN(auto plan, c_.reconciler().plan(*policy, only));
    return plan_reply(plan, format, color);
  }
  KNOCK_ASSIGN(auto list, args_.files("files"));
  KNOCK_ASSIGN(auto revision, args_.text_or("revision", "candidate"));
  Diagnostics problems;
  auto plan = c_.plan_candidate(std::move(list), PolicyRevision(revision), only, problems);
  if (!plan) return problem(plan.error(), problems);
  return plan_reply(*plan, format, color);
}

Result<net::HttpResponse> AdminCall::viewed_plan(const std::vector<TargetName>& only,
                                                 const std::string& format, bool color) {
  for (const char* made_up : {"sessions", "at"})
    if (args_.has(made_up))
      return fail(ErrorKind::unsupported,
                  "what-if plans (--sessions, --at) are made on the controller's own machine: "
                  "with them, whoever may read plans could ask about anybody");
  KNOCK_ASSIGN(auto view, asked_view());
  KNOCK_CHECK(check_format(format));
  KNOCK_ASSIGN(bool post, asked_to_post(only));
  Diagnostics problems;
  KNOCK_ASSIGN(auto before, standing(c_.store()));
  auto change = proposed(problems);
  if (!change) return refused(change.error(), problems);
  auto review = review_hash(before, change->files);
  // Who may only propose must not have roles started in places of their choice.
  auto new_targets = key_ || !change->commit.empty() ? Reconciler::NewTargets::not_read
                                                     : Reconciler::NewTargets::read;
  auto plan =
      c_.plan_candidate(std::move(change->files), change->revision, only, problems, new_targets);
  if (!plan) {
    auto told = post ? unplanned_change(*change, plan.error(), problems) : std::nullopt;
    if (told) c_.planned(*told);
    return refused(plan.error(), problems);
  }
  KNOCK_CHECK(add_what_stands_beside(c_, before, *change, *plan));
  if (post) c_.planned(planned_change(c_, *change, *plan, review));
  // A shape is of the policies alone (schemas/plan/policy_part.h), and so is what stands beside it.
  bool shape = view == View::shape;
  json::object out{{"text", plan_document(*plan, format, {color, "", "", view})},
                   {"review", review},
                   {"view", to_string(view)},
                   {"empty", shape ? plan->edits.empty() : plan->empty()}};
  if (!shape) {
    out["id"] = to_hex(plan->id);
    out["guards"] = plan->guards.size();
  }
  if (!change->commit.empty()) {
    out["commit"] = change->commit;
    out["refused_because"] = change->refused_because;
  }
  return reply(200, json::serialize(out) + "\n");
}

Result<bool> AdminCall::asked_to_post(const std::vector<TargetName>& only) {
  KNOCK_ASSIGN(bool post, args_.boolean_or("post", false));
  if (!post) return false;
  if (!args_.has("pull") && !args_.has("branch"))
    return fail(ErrorKind::invalid,
                "`post` tells the forge of what is fetched: name a `pull` or a `branch`");
  if (!only.empty())
    return fail(ErrorKind::invalid,
                "a plan of some targets is not the whole plan, and is not posted");
  if (!c_.config().notify.forge)
    return fail(ErrorKind::unsupported,
                "this controller knows no forge to tell: write `forge:` below `notify:` of "
                "knock.yaml (docs/notifications.md)");
  return true;
}

Result<net::HttpResponse> AdminCall::saved_plan(const std::vector<TargetName>& only) {
  PlanAsk ask;
  ask.only = only;
  if (args_.has("files")) {
    KNOCK_ASSIGN(ask.files, args_.files("files"));
    KNOCK_ASSIGN(auto revision, args_.text_or("revision", "candidate"));
    ask.revision = PolicyRevision(revision);
  }
  KNOCK_ASSIGN(auto life, args_.text_or("good_for", to_string(kPlanLife)));
  auto good_for = parse_duration(life);
  if (!good_for)
    return fail(ErrorKind::invalid, printable(life) + " is not a length of time; write 24h");
  ask.good_for = *good_for;
  Diagnostics problems;
  auto text = save_plan(c_, ask, problems);
  if (!text) return problem(text.error(), problems);
  return reply(200, *std::move(text), "application/x-ndjson");
}

}  // namespace knock
