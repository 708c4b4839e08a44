// SPDX-License-Identifier: Apache-2.0
// Plans: of the policy in force, of a candidate, and to be saved.
#include <fmt/format.h>

#include <boost/json.hpp>

#include "base/text.h"
#include "reconciler/core/render.h"
#include "schemas/plan/codec.h"
#include "schemas/plan/view.h"
#include "schemas/role/front.h"
#include "server/admin/call.h"
#include "server/admin/reply.h"
#include "server/core/review.h"

namespace knock {
namespace {

namespace json = boost::json;
using net::HttpResponse;

constexpr std::uint64_t kLargestPull = 1'000'000'000;
constexpr std::size_t kRestOfApply = 1024;
constexpr std::size_t kLongestBranch = 200, kLongestRevision = 100;

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

bool AdminCall::makes_up() const {
  return args_.has("sessions") || args_.has("approvals") || args_.has("at");
}

Result<WhatIf> AdminCall::what_if() {
  WhatIf out;
  if (!makes_up()) return out;
  if (!may(KeyScope::plan_people))
    return fail(ErrorKind::unauthorized,
                "what-if.scope: what-if plans (--sessions, --at) need a key with plan:people, "
                "because they ask about people, and this key is without; ask whoever runs the "
                "controller for one, or leave --sessions and --at out");
  if (args_.has("at")) {
    KNOCK_ASSIGN(auto written, args_.text("at"));
    out.at = parse_instant(written);
    if (!out.at)
      return fail(ErrorKind::invalid,
                  "what-if.at: " + printable(written.substr(0, kLongestBranch)) +
                      " is not a time; write 2026-11-21T10:04:11Z");
  }
  if (!args_.has("sessions") && args_.has("approvals"))
    return fail(ErrorKind::invalid,
                "what-if.sessions: `approvals` says who said yes to people of `sessions`, and "
                "there are none; send both");
  if (args_.has("sessions")) {
    KNOCK_ASSIGN(out.people, args_.sessions());
  }
  return out;
}

Result<PolicyRevision> AdminCall::revision_of_files() {
  KNOCK_ASSIGN(auto revision, args_.text_or("revision", "candidate"));
  if (revision.empty() || revision.size() > kLongestRevision || printable(revision) != revision ||
      revision.find(' ') != revision.npos)
    return fail(ErrorKind::invalid,
                fmt::format("`revision` names the files in at most {} characters, without blanks",
                            kLongestRevision));
  return PolicyRevision(revision);
}

Result<View> AdminCall::asked_view(bool about_people) {
  auto usual = about_people ? View::people : View::shape;
  KNOCK_ASSIGN(auto word, args_.text_or("view", std::string(to_string(usual))));
  auto view = view_from(word);
  if (!view) return fail(ErrorKind::invalid, "`view` is shape, people or full");
  if (*view > widest())
    return fail(
        ErrorKind::unauthorized,
        fmt::format("the view {} needs a key with {}", word,
                    to_string(*view == View::full ? KeyScope::audit_read : KeyScope::plan_people)));
  if (about_people && *view == View::shape)
    return fail(ErrorKind::invalid,
                "what-if.view: a shape is of the policies alone, so nothing of what --sessions or "
                "--at make up would be in it; ask for the view people");
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
  if (format == "saved") return saved_plan(only);
  if (key_ || fetched || makes_up() || args_.has("view")) return viewed_plan(only, format, color);
  if (!args_.has("files")) {
    auto policy = c_.reconciler().policy();
    if (policy == nullptr) return fail(ErrorKind::unavailable, c_.not_ready());
    KNOCK_ASSIGN(auto plan, c_.reconciler().plan(*policy, only));
    return plan_reply(plan, format, color);
  }
  KNOCK_ASSIGN(auto list, args_.files("files"));
  KNOCK_ASSIGN(auto revision, revision_of_files());
  Diagnostics problems;
  auto plan = c_.plan_candidate(std::move(list), revision, only, problems);
  if (!plan) return problem(plan.error(), problems);
  return plan_reply(*plan, format, color);
}

Result<net::HttpResponse> AdminCall::viewed_plan(const std::vector<TargetName>& only,
                                                 const std::string& format, bool color) {
  KNOCK_ASSIGN(auto what_if, this->what_if());
  KNOCK_ASSIGN(auto view, asked_view(what_if.given()));
  KNOCK_CHECK(check_format(format));
  KNOCK_ASSIGN(bool post, asked_to_post(only));
  Diagnostics problems;
  KNOCK_ASSIGN(auto before, standing(c_.store()));
  auto change = proposed(problems);
  if (!change) return refused(change.error(), problems);
  auto review = review_hash(before, change->files);
  bool shape = view == View::shape;
  auto plan = shape ? c_.shape_of_candidate(change->files, change->revision, only, problems)
                    : whole_plan(*change, only, problems, what_if);
  if (!plan) {
    auto told = post ? unplanned_change(*change, plan.error(), problems) : std::nullopt;
    if (told) c_.planned(*told);
    return refused(plan.error(), problems);
  }
  KNOCK_CHECK(add_what_stands_beside(c_, before, *change, *plan));
  if (post) KNOCK_CHECK(post_shape(before, *change, shape ? &*plan : nullptr, review));
  // A shape is of the policies alone (schemas/plan/policy_part.h), and so is what stands beside it.
  json::object out{{"text", plan_document(*plan, format, {color, "", "", view})},
                   {"view", to_string(view)},
                   {"empty", shape ? plan->edits.empty() : plan->empty()}};
  if (what_if.given())
    out["what_if"] = true;
  else
    out["review"] = review;
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

Result<Plan> AdminCall::whole_plan(const ProposedChange& change,
                                   const std::vector<TargetName>& only, Diagnostics& problems,
                                   const WhatIf& what_if) {
  // Who may only propose must not have roles started in places of their choice.
  auto new_targets = key_ || !change.commit.empty() ? Reconciler::NewTargets::not_read
                                                    : Reconciler::NewTargets::read;
  return c_.plan_candidate(change.files, change.revision, only, problems, new_targets, what_if);
}

/// Whatever else was asked for: whoever reads the forge reads it.
Status AdminCall::post_shape(const Standing& before, const ProposedChange& change,
                             const Plan* shape, const std::string& review) {
  if (shape != nullptr) {
    c_.planned(planned_change(c_, change, *shape, review));
    return {};
  }
  Diagnostics problems;
  KNOCK_ASSIGN(auto made, c_.shape_of_candidate(change.files, change.revision, {}, problems));
  KNOCK_CHECK(add_what_stands_beside(c_, before, change, made));
  c_.planned(planned_change(c_, change, made, review));
  return {};
}

Result<bool> AdminCall::asked_to_post(const std::vector<TargetName>& only) {
  KNOCK_ASSIGN(bool post, args_.boolean_or("post", false));
  if (!post) return false;
  if (!args_.has("pull") && !args_.has("branch"))
    return fail(ErrorKind::invalid,
                "`post` tells the forge of what is fetched: name a `pull` or a `branch`");
  if (makes_up())
    return fail(ErrorKind::invalid,
                "what-if.posted: a plan of what --sessions or --at make up is for whoever asked, "
                "and is not posted; leave --post out");
  if (!only.empty())
    return fail(ErrorKind::invalid,
                "a plan of some targets is not the whole plan, and is not posted");
  if (!c_.config().notify.forge)
    return fail(ErrorKind::unsupported,
                "this controller knows no forge to tell: write `forge:` below `notify:` of "
                "knock.yaml (docs/notifications.md)");
  return true;
}

Status AdminCall::may_save() const {
  if (!may(KeyScope::audit_read))
    return fail(ErrorKind::unauthorized,
                "plan.save-scope: a plan file holds names and addresses, so saving one needs a key "
                "with audit:read; without it, review by hash: knock apply --reviewed HASH");
  if (makes_up())
    return fail(
        ErrorKind::invalid,
        "what-if.saved: what --sessions or --at make up is never applied, and is not saved; "
        "leave them out, or leave --out out");
  if (args_.has("pull") || args_.has("branch") || args_.has("commit") || args_.has("post"))
    return fail(ErrorKind::invalid,
                "plan.save-fetched: a plan file is of the very commit that comes into force, which "
                "a merge makes; merge first, and save the plan of that, or review by hash");
  return {};
}

Result<net::HttpResponse> AdminCall::saved_plan(const std::vector<TargetName>& only) {
  KNOCK_CHECK(may_save());
  PlanAsk ask;
  ask.only = only;
  if (args_.has("files")) {
    KNOCK_ASSIGN(ask.files, args_.files("files"));
    KNOCK_ASSIGN(ask.revision, revision_of_files());
    // Who may only propose must not have roles started in places of their choice.
    if (key_) ask.new_targets = Reconciler::NewTargets::not_read;
  }
  KNOCK_ASSIGN(auto life, args_.text_or("good_for", to_string(kPlanLife)));
  auto good_for = parse_duration(life);
  if (!good_for)
    return fail(ErrorKind::invalid, printable(life) + " is not a length of time; write 24h");
  ask.good_for = *good_for;
  Diagnostics problems;
  auto text = save_plan(c_, ask, problems);
  if (!text) return refused(text.error(), problems);
  // It comes back as a text in JSON, with the rest of the request.
  auto bytes = json::serialize(json::value(*text)).size() + kRestOfApply;
  if (key_ && bytes > role::kLongestApiBody)
    return fail(ErrorKind::invalid,
                fmt::format("plan.save-too-large: this plan's file would be {} bytes on its way "
                            "back, and at most {} are taken over the network; save and apply it on "
                            "the controller's own machine, or review by hash",
                            bytes, role::kLongestApiBody));
  return reply(200, *std::move(text), "application/x-ndjson");
}

}  // namespace knock
