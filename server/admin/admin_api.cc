// SPDX-License-Identifier: Apache-2.0
#include "server/admin/admin_api.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <charconv>
#include <exception>

#include "base/text.h"
#include "reconciler/core/render.h"
#include "schemas/json/strict_json.h"
#include "schemas/plan/codec.h"
#include "schemas/plan/view.h"
#include "schemas/role/front.h"
#include "server/admin/json.h"
#include "server/admin/questions_json.h"
#include "server/admin/remote_view.h"
#include "server/core/review.h"
#include "server/core/saved_plans.h"

namespace knock {
namespace {

namespace json = boost::json;
using net::HttpRequest;
using net::HttpResponse;

constexpr std::size_t kLongestShownName = 200, kLongestHash = 127;  // crypto_pwhash_STRBYTES - 1
constexpr std::size_t kMostFiles = 20'000, kLongestFile = 1u << 20, kLongestPath = 512;

HttpResponse reply(int status, std::string body, std::string type = "application/json") {
  HttpResponse out;
  out.status = status;
  out.headers.set("Content-Type", std::move(type));
  out.headers.set("Cache-Control", "no-store");
  out.body = std::move(body);
  return out;
}

HttpResponse problem(const Error& error, const Diagnostics& problems = {}) {
  int status = http_status(error.kind);
  return reply(status, problem_json(status, error, problems), "application/problem+json");
}

HttpResponse problem(ErrorKind kind, std::string message) {
  return problem(Error{kind, std::move(message), {}, std::nullopt});
}

/// The request's query and JSON body, read strictly: what is not taken by name is an error.
class Arguments {
 public:
  static Result<Arguments> of(const HttpRequest& request) {
    Arguments out;
    if (!request.query.empty()) {
      auto pairs = net::parse_form(request.query);
      if (!pairs) return fail(ErrorKind::invalid, "the query cannot be read");
      for (auto& [name, value] : *pairs) out.object_[name] = value;
    }
    if (!request.body.empty()) {
      KNOCK_ASSIGN(auto value, parse_strict(request.body));
      if (!value.is_object()) return fail(ErrorKind::invalid, "the body is not a JSON object");
      for (auto& [name, member] : value.as_object()) out.object_[name] = member;
    }
    return out;
  }

  Result<std::string> text(std::string_view name) {
    auto* value = take(name);
    if (value == nullptr || !value->is_string())
      return fail(ErrorKind::invalid, fmt::format("`{}` is missing or is not text", name));
    return std::string(value->as_string());
  }
  Result<std::string> text_or(std::string_view name, std::string otherwise) {
    return object_.contains(name) ? text(name) : otherwise;
  }
  Result<std::vector<std::string>> texts(std::string_view name) {
    std::vector<std::string> out;
    auto* value = take(name);
    if (value == nullptr) return out;
    if (!value->is_array())
      return fail(ErrorKind::invalid, fmt::format("`{}` is not a list", name));
    for (const auto& item : value->as_array()) {
      if (!item.is_string())
        return fail(ErrorKind::invalid, fmt::format("`{}` holds what is not text", name));
      out.emplace_back(item.as_string());
    }
    return out;
  }
  Result<bool> boolean_or(std::string_view name, bool otherwise) {
    auto* value = take(name);
    if (value == nullptr) return otherwise;
    if (!value->is_bool())
      return fail(ErrorKind::invalid, fmt::format("`{}` is not true or false", name));
    return value->as_bool();
  }
  Result<std::uint64_t> number_or(std::string_view name, std::uint64_t otherwise) {
    KNOCK_ASSIGN(auto written, text_or(name, ""));
    if (written.empty()) return otherwise;
    std::uint64_t out = 0;
    auto [end, bad] = std::from_chars(written.data(), written.data() + written.size(), out);
    if (bad != std::errc() || end != written.data() + written.size())
      return fail(ErrorKind::invalid, fmt::format("`{}` is not a number", name));
    return out;
  }
  json::value* member(std::string_view name) { return take(name); }

 private:
  json::value* take(std::string_view name) { return object_.if_contains(name); }
  json::object object_;
};

/// The limits of the messages to front and verifier: beyond them nobody could sign in, and the
/// verifier would take a longer hash for a fault of core's and end.
Status check_account(const std::string& user, const Account& account, const std::string& hash) {
  if (user.empty() || user.size() > role::kLongestUser || printable(user) != user)
    return fail(ErrorKind::invalid,
                fmt::format("a user's name is 1 to {} bytes of characters that can be shown",
                            role::kLongestUser));
  if (account.name.size() > kLongestShownName)
    return fail(ErrorKind::invalid,
                fmt::format("`name` is longer than {} bytes", kLongestShownName));
  if (!hash.empty() && (!hash.starts_with("$argon2id$") || hash.size() > kLongestHash))
    return fail(ErrorKind::invalid, "`password_hash` is not an Argon2id hash");
  return {};
}

/// As a policy source would have read it. Paths are names here, nothing is opened; but they are
/// shown, and a policy's own limits are per file.
Status check_file(const PolicyFile& file) {
  bool odd = file.path.empty() || file.path.size() > kLongestPath || file.path.front() == '/' ||
             printable(file.path) != file.path;
  for (auto part : split(file.path, '/')) odd |= part.empty() || part == "." || part == "..";
  if (odd)
    return fail(ErrorKind::invalid, "`files` holds a path that no policy has: " +
                                        printable(file.path.substr(0, kLongestPath)));
  if (file.content.size() > kLongestFile)
    return fail(ErrorKind::invalid, file.path + " is larger than 1 MiB; split it");
  return {};
}

/// One request, with what it needs at hand.
class Call {
 public:
  Call(Controller& controller, const Caller& caller, Arguments arguments)
      : c_(controller), args_(std::move(arguments)), actor_(caller.actor), key_(caller.key) {}

  Result<HttpResponse> status() { return reply(200, to_json(as_seen(c_.status(), widest()))); }

  Result<HttpResponse> list_sessions() {
    KNOCK_ASSIGN(auto all, args_.text_or("all", ""));
    auto sessions = c_.reconciler().live_sessions();
    if (!all.empty()) {
      KNOCK_ASSIGN(sessions, c_.store().sessions(1000));
    }
    auto document = sessions_json(sessions);
    return reply(200, may(KeyScope::audit_read) ? document : without_address_members(document));
  }

  Result<HttpResponse> grant() {
    GrantRequest grant;
    KNOCK_ASSIGN(grant.user, args_.text("user"));
    KNOCK_ASSIGN(auto from, args_.text("from"));
    KNOCK_ASSIGN(auto ttl, args_.text("ttl"));
    KNOCK_ASSIGN(grant.reason, args_.text_or("reason", ""));
    KNOCK_ASSIGN(auto groups, args_.texts("groups"));
    KNOCK_ASSIGN(auto wait, args_.boolean_or("wait", true));
    auto address = IpAddress::parse(from);
    auto life = parse_duration(ttl);
    if (!address)
      return fail(ErrorKind::invalid,
                  printable(from) + " is not an address; --from takes one host, like 203.0.113.7");
    if (!life)
      return fail(ErrorKind::invalid, printable(ttl) + " is not a length of time; write 30m or 8h");
    grant.from = *address;
    grant.ttl = *life;
    for (auto& group : groups) grant.groups.emplace_back(std::move(group));
    KNOCK_ASSIGN(auto session, c_.grant(actor_, grant));
    auto where = wait ? c_.reconciler().wait_open(session, Deadline::in(Duration::seconds(3)))
                      : c_.reconciler().where(session);
    return reply(201, session_json(session, where));
  }

  Result<HttpResponse> revoke() {
    KNOCK_ASSIGN(auto id, args_.text("session"));
    KNOCK_ASSIGN(auto reason, args_.text_or("reason", ""));
    KNOCK_ASSIGN(auto revoked, c_.revoke(actor_, id, reason));
    c_.reconciler().wait_settled(Deadline::in(Duration::seconds(3)));
    auto document = session_json(revoked.session, {}, revoked.note);
    return reply(200, may(KeyScope::audit_read) ? document : without_address_members(document));
  }

  Result<HttpResponse> plan() {
    KNOCK_ASSIGN(auto only, targets());
    KNOCK_ASSIGN(auto format, args_.text_or("format", "json"));
    KNOCK_ASSIGN(auto color, args_.boolean_or("color", false));
    if (key_ || args_.member("view") != nullptr) return viewed_plan(only, format, color);
    if (format == "saved") return saved_plan(only);
    auto* files = args_.member("files");
    if (files == nullptr) {
      auto policy = c_.reconciler().policy();
      if (policy == nullptr) return fail(ErrorKind::unavailable, c_.not_ready());
      KNOCK_ASSIGN(auto plan, c_.reconciler().plan(*policy, only));
      return plan_reply(plan, format, color);
    }
    KNOCK_ASSIGN(auto list, read_files(*files));
    KNOCK_ASSIGN(auto revision, args_.text_or("revision", "candidate"));
    Diagnostics problems;
    auto plan = c_.plan_candidate(std::move(list), PolicyRevision(revision), only, problems);
    if (!plan) return problem(plan.error(), problems);
    return plan_reply(*plan, format, color);
  }

  /// In any form and view, as one document with its review hash: what tokens get.
  Result<HttpResponse> viewed_plan(const std::vector<TargetName>& only, const std::string& format,
                                   bool color) {
    for (const char* made_up : {"sessions", "at"})
      if (args_.member(made_up) != nullptr)
        return fail(ErrorKind::unsupported,
                    "what-if plans (--sessions, --at) are made on the controller's own machine: "
                    "with them, whoever may read plans could ask about anybody");
    KNOCK_ASSIGN(auto view, asked_view());
    KNOCK_CHECK(check_format(format));
    Diagnostics problems;
    auto files = candidate_files(problems);
    if (!files) return problem(files.error(), problems);
    auto revision = content_revision(*files);
    KNOCK_ASSIGN(auto review, review_hash(c_.store(), *files));
    auto plan = c_.plan_candidate(*std::move(files), revision, only, problems);
    if (!plan) return problem(plan.error(), problems);
    json::object out{{"text", plan_document(*plan, format, {color, "", "", view})},
                     {"id", to_hex(plan->id)},
                     {"review", review},
                     {"view", to_string(view)},
                     {"empty", plan->empty()},
                     {"guards", plan->guards.size()}};
    return reply(200, json::serialize(out) + "\n");
  }

  /// The text of a plan file, signed: of the candidate, or of what the policy source holds.
  Result<HttpResponse> saved_plan(const std::vector<TargetName>& only) {
    PlanAsk ask;
    ask.only = only;
    if (auto* files = args_.member("files"); files != nullptr) {
      KNOCK_ASSIGN(ask.files, read_files(*files));
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

  Result<HttpResponse> apply() {
    KNOCK_ASSIGN(auto reviewed, args_.text_or("reviewed", ""));
    if (!reviewed.empty()) return apply_what_was_reviewed(reviewed);
    ApplyAsk ask;
    KNOCK_ASSIGN(ask.file, args_.text("file"));
    KNOCK_ASSIGN(ask.ack, args_.text_or("ack", ""));
    KNOCK_ASSIGN(ask.exact, args_.boolean_or("exact", false));
    KNOCK_ASSIGN(ask.replan, args_.boolean_or("replan", false));
    KNOCK_ASSIGN(auto color, args_.boolean_or("color", false));
    ask.view = widest();
    Diagnostics problems;
    auto done = apply_plan(c_, actor_, ask, problems);
    if (!done) {
      Error error = done.error();  // also of targets, whose problems name addresses
      error.message = as_may_be_seen(std::move(error.message));
      return problem(error, problems);
    }
    return reply(200, applied_json(*done, color));
  }

  Result<HttpResponse> apply_what_was_reviewed(const std::string& hash) {
    Diagnostics problems;
    auto done = apply_reviewed(c_, actor_, hash, problems);
    if (!done) return problem(done.error(), problems);
    c_.reconciler().wait_settled(Deadline::in(Duration::seconds(30)));
    auto status = as_seen(c_.status(), widest());
    json::array waiting;
    std::size_t held = 0;
    for (const TargetStatus& target : status.targets) {
      held += target.held;
      if (!target.ready) waiting.emplace_back(target.name.value + ": " + target.problem);
    }
    const char* outcome = !waiting.empty() ? "partly" : held > 0 ? "held" : "done";
    json::object out{{"outcome", outcome},
                     {"revision", done->revision.value},
                     {"was_in_force", done->was_in_force},
                     {"held", held},
                     {"problems", std::move(waiting)}};
    return reply(200, json::serialize(out) + "\n");
  }

  Result<HttpResponse> acknowledge() {
    KNOCK_ASSIGN(auto plan, args_.text("plan"));
    KNOCK_CHECK(c_.reconciler().acknowledge(actor_, plan));
    c_.reconciler().wait_settled(Deadline::in(Duration::seconds(5)));
    return reply(200, to_json(c_.status()));
  }

  Result<HttpResponse> look() {
    auto looked = c_.policy_keeper().look(actor_);
    if (!looked) return problem(looked.error(), c_.policy_keeper().refused());
    c_.reconciler().wait_settled(Deadline::in(Duration::seconds(5)));
    return reply(200, to_json(c_.status()));
  }

  Result<HttpResponse> advance() {
    AdvanceRequest request;
    KNOCK_ASSIGN(request.commit, args_.text_or("commit", ""));
    KNOCK_ASSIGN(request.resume, args_.boolean_or("resume", false));
    KNOCK_ASSIGN(request.history_replaced, args_.boolean_or("history_replaced", false));
    KNOCK_ASSIGN(request.reason, args_.text_or("reason", ""));
    Diagnostics problems;
    auto advanced = c_.policy_keeper().advance(actor_, request, problems);
    if (!advanced) return problem(advanced.error(), problems);
    c_.reconciler().wait_settled(Deadline::in(Duration::seconds(5)));
    return reply(200, advanced_json(*advanced));
  }

  Result<HttpResponse> refresh() {
    KNOCK_ASSIGN(auto target, args_.text_or("target", ""));
    c_.reconciler().refresh(TargetName(target));
    c_.reconciler().wait_settled(Deadline::in(Duration::seconds(5)));
    return reply(200, to_json(c_.status()));
  }

  /// `who` alone is a mark read off a target.
  Result<HttpResponse> why() {
    KNOCK_ASSIGN(auto who, args_.text("who"));
    KNOCK_ASSIGN(auto what, args_.text_or("what", ""));
    KNOCK_ASSIGN(auto at, time_or_none("at"));
    if (what.empty()) {
      if (!Questions::is_mark(who))
        return fail(ErrorKind::invalid, "`what` is missing: a service or a target");
      KNOCK_ASSIGN(auto mark, c_.questions().mark(who));
      return reply(200, mark_json(mark));
    }
    KNOCK_ASSIGN(auto answer, c_.questions().why(who, what, at));
    return reply(200, why_json(answer));
  }

  Result<HttpResponse> who() {
    KNOCK_ASSIGN(auto service, args_.text("service"));
    KNOCK_ASSIGN(auto at, time_or_none("at"));
    KNOCK_ASSIGN(auto from, time_or_none("from"));
    KNOCK_ASSIGN(auto to, time_or_none("to"));
    if (at && (from || to)) return fail(ErrorKind::invalid, "`at`, or `from` and `to`, not both");
    auto questions = c_.questions();
    if (!from && !to) {
      KNOCK_ASSIGN(auto answer, questions.who(ServiceName(service), at));
      return reply(200, who_json(answer));
    }
    if (!from) return fail(ErrorKind::invalid, "a range has both ends: `from` is missing");
    KNOCK_ASSIGN(auto answer,
                 questions.who_between(ServiceName(service), *from, to.value_or(c_.clock().now())));
    return reply(200, who_json(answer));
  }

  Result<HttpResponse> records() {
    KNOCK_ASSIGN(auto after, args_.number_or("after", 0));
    KNOCK_ASSIGN(auto limit, args_.number_or("limit", 100));
    KNOCK_ASSIGN(auto rows, c_.store().records(after, std::min<std::uint64_t>(limit, 1000)));
    return reply(200, records_json(rows));
  }

  Result<HttpResponse> users() {
    KNOCK_ASSIGN(auto rows, c_.store().accounts());
    return reply(200, accounts_json(rows));
  }

  Result<HttpResponse> save_user() {
    KNOCK_ASSIGN(auto user, args_.text("user"));
    KNOCK_ASSIGN(auto before, c_.store().account(user));
    Account account = before ? *before : Account{};
    account.user = user;
    KNOCK_ASSIGN(account.name, args_.text_or("name", account.name));
    KNOCK_ASSIGN(auto hash, args_.text_or("password_hash", ""));
    KNOCK_ASSIGN(auto what, args_.text("what"));
    if (args_.member("groups") != nullptr) {
      KNOCK_ASSIGN(account.groups, args_.texts("groups"));
    }
    KNOCK_CHECK(check_account(user, account, hash));
    std::sort(account.groups.begin(), account.groups.end());
    if (!hash.empty()) account.password_hash = Secret(std::move(hash));
    if (account.password_hash.empty())
      return fail(ErrorKind::not_found, "there is no local account " + printable(user));
    if (what == "add" && before)
      return fail(ErrorKind::conflict, "there is already a local account " + printable(user) +
                                           "; to change its password: knock user passwd " +
                                           printable(user));
    KNOCK_CHECK(c_.store().save_account(actor_, c_.clock().now(), account, what));
    return reply(200, accounts_json({account}));
  }

  Result<HttpResponse> remove_user() {
    KNOCK_ASSIGN(auto user, args_.text("user"));
    auto removed = c_.store().remove_account(actor_, c_.clock().now(), user);
    if (!removed && removed.error().kind == ErrorKind::not_found)
      return fail(std::move(removed.error()));
    // Whatever became of the account: what its sessions opened closes, every one of them.
    auto nowhere = end_all(Principal{"local", user, ""}, "account removed");
    if (removed && nowhere.empty()) return reply(200, "{}\n");
    std::vector<std::string> problems;
    if (!removed)
      problems.push_back(
          "the account is not removed, so remove it again when the log can be "
          "written; its sessions were ended (" +
          removed.error().text() + ")");
    problems.insert(problems.end(), nowhere.begin(), nowhere.end());
    return fail(removed ? ErrorKind::unavailable : removed.error().kind, join(problems, "; "));
  }

  Result<HttpResponse> keys() { return reply(200, keys_json(c_.keys().list())); }

  Result<HttpResponse> add_key() {
    KeyRequest request;
    KNOCK_ASSIGN(request.name, args_.text("name"));
    KNOCK_ASSIGN(request.scopes, args_.texts("scopes"));
    KNOCK_ASSIGN(request.from, args_.texts("from"));
    KNOCK_ASSIGN(auto life, key_life());
    if (life) request.life = *life;
    KNOCK_ASSIGN(auto made, c_.keys().add(actor_, request));
    return reply(201, made_key_json(made));
  }

  Result<HttpResponse> rotate_key() {
    KNOCK_ASSIGN(auto name, args_.text("name"));
    KNOCK_ASSIGN(auto life, key_life());
    KNOCK_ASSIGN(auto made, c_.keys().rotate(actor_, name, life));
    return reply(200, made_key_json(made));
  }

  Result<HttpResponse> revoke_key() {
    KNOCK_ASSIGN(auto name, args_.text("name"));
    KNOCK_CHECK(c_.keys().revoke(actor_, name));
    return reply(200, keys_json(c_.keys().list()));
  }

 private:
  bool may(KeyScope scope) const { return !key_ || key_->has(scope); }
  View widest() const { return key_ ? widest_view(*key_) : View::full; }

  /// The narrowest, unless one is asked for that the token has.
  Result<View> asked_view() {
    KNOCK_ASSIGN(auto word, args_.text_or("view", std::string(to_string(View::shape))));
    auto view = view_from(word);
    if (!view) return fail(ErrorKind::invalid, "`view` is shape, people or full");
    if (*view > widest())
      return fail(ErrorKind::unauthorized,
                  fmt::format("the view {} needs a key with {}", word,
                              to_string(*view == View::full ? KeyScope::audit_read
                                                            : KeyScope::plan_people)));
    return *view;
  }

  static Status check_format(const std::string& format) {
    for (const char* known : {"json", "text", "markdown", "html"})
      if (format == known) return {};
    return fail(ErrorKind::invalid, "`format` is json, text, markdown or html");
  }

  static std::string plan_document(const Plan& plan, const std::string& format,
                                   const RenderOptions& options) {
    std::string out;
    Write write = [&](std::string_view piece) { out += piece; };
    if (format == "json") write_json(plan, write, options.view);
    if (format == "text") write_text(plan, options, write);
    if (format == "markdown") write_markdown(plan, options, write);
    if (format == "html") write_html(plan, options, write);
    return out;
  }

  /// What was sent, or what the policy source holds.
  Result<std::vector<PolicyFile>> candidate_files(Diagnostics& problems) {
    if (auto* files = args_.member("files"); files != nullptr) return read_files(*files);
    KNOCK_ASSIGN(auto newest, c_.policy_keeper().newest(problems));
    return std::move(newest.snapshot.files);
  }

  Result<std::optional<Duration>> key_life() {
    KNOCK_ASSIGN(auto written, args_.text_or("expires", ""));
    if (written.empty()) return std::optional<Duration>();
    auto life = parse_duration(written);
    if (!life)
      return fail(ErrorKind::invalid,
                  printable(written) + " is not a length of time; write 90d or 12h");
    return life;
  }

  /// What is to be said of ends that are written nowhere.
  std::vector<std::string> end_all(const Principal& principal, const std::string& reason) {
    std::vector<std::string> out;
    for (const Session& session : c_.reconciler().live_sessions()) {
      if (session.principal != principal) continue;
      auto ended = c_.ends().end(actor_, session, EndCause::revoked, reason);
      if (ended && ended->written == EndedSession::Written::nowhere)
        out.push_back(to_sentence(*ended, session.id));
    }
    return out;
  }

  Result<std::optional<Instant>> time_or_none(std::string_view name) {
    KNOCK_ASSIGN(auto text, args_.text_or(name, ""));
    if (text.empty()) return std::optional<Instant>();
    auto at = parse_instant(text);
    if (!at)
      return fail(ErrorKind::invalid,
                  printable(text) + " is not a time; write 2026-11-21T10:04:11Z");
    return at;
  }

  Result<std::vector<TargetName>> targets() {
    auto policy = c_.reconciler().policy();
    KNOCK_ASSIGN(auto names, args_.texts("targets"));
    std::vector<TargetName> out;
    for (auto& name : names) out.emplace_back(std::move(name));
    return out;
  }

  /// `text` is what a person reads (members `text`, `id`, `changes`, `guards`); `json` is the plan
  /// itself.
  static Result<HttpResponse> plan_reply(const Plan& plan, const std::string& format, bool color) {
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

  /// What differs between two plans is told by the addresses it is about.
  std::string as_may_be_seen(std::string text) const {
    return may(KeyScope::audit_read) ? text : without_addresses(text);
  }

  std::string applied_json(const AppliedPlan& done, bool color) const {
    bool stopped = done.how == AppliedPlan::How::stopped;
    json::array guards, problems;
    for (auto& sentence : sentences(stopped ? done.plan.now.guards : done.result.guards))
      guards.emplace_back(as_may_be_seen(std::move(sentence)));
    for (const auto& one : done.result.problems) problems.emplace_back(as_may_be_seen(one));
    json::object out{{"outcome", to_string(done.how)},
                     {"id", to_hex(done.plan.saved.plan.id)},
                     {"ack", done.plan.ack},
                     {"guards", std::move(guards)},
                     {"problems", std::move(problems)},
                     {"text", may(KeyScope::audit_read) ? to_text(done.plan, color) : ""}};
    return json::serialize(out) + "\n";
  }

  static Result<std::vector<PolicyFile>> read_files(const json::value& value) {
    if (!value.is_array()) return fail(ErrorKind::invalid, "`files` is not a list");
    std::vector<PolicyFile> out;
    if (value.as_array().size() > kMostFiles)
      return fail(ErrorKind::invalid, fmt::format("`files` holds more than {} files", kMostFiles));
    for (const auto& item : value.as_array()) {
      auto* object = item.if_object();
      auto* path = object != nullptr ? object->if_contains("path") : nullptr;
      auto* content = object != nullptr ? object->if_contains("content") : nullptr;
      if (path == nullptr || content == nullptr || !path->is_string() || !content->is_string())
        return fail(ErrorKind::invalid, "`files` holds what is not {path, content}");
      out.push_back({std::string(path->as_string()), std::string(content->as_string()), ""});
      KNOCK_CHECK(check_file(out.back()));
    }
    return out;
  }

  Controller& c_;
  Arguments args_;
  Actor actor_;
  std::optional<KeyHolder> key_;
};

struct Route {
  std::string_view method, path;
  Result<HttpResponse> (Call::*call)();
  unsigned scopes = 0;  // bits of KeyScope, one of which a token needs; none: not for tokens
};

constexpr unsigned any_of(std::initializer_list<KeyScope> scopes) {
  unsigned out = 0;
  for (KeyScope scope : scopes) out |= 1u << unsigned(scope);
  return out;
}
constexpr unsigned kPlans =
    any_of({KeyScope::plan_read, KeyScope::plan_people, KeyScope::audit_read});
constexpr unsigned kApply = any_of({KeyScope::apply}), kWrite = any_of({KeyScope::session_write});
constexpr unsigned kAudit = any_of({KeyScope::audit_read});

constexpr Route kRoutes[] = {
    {"GET", "/api/v1/status", &Call::status, kPlans | kApply},
    {"GET", "/api/v1/sessions", &Call::list_sessions, kWrite | kAudit},
    {"POST", "/api/v1/sessions", &Call::grant, kWrite},
    {"POST", "/api/v1/sessions/revoke", &Call::revoke, kWrite},
    {"POST", "/api/v1/plan", &Call::plan, kPlans},
    {"POST", "/api/v1/apply", &Call::apply, kApply},
    {"POST", "/api/v1/acknowledge", &Call::acknowledge},
    {"POST", "/api/v1/policy/look", &Call::look},
    {"POST", "/api/v1/policy/advance", &Call::advance},
    {"POST", "/api/v1/refresh", &Call::refresh},
    {"GET", "/api/v1/why", &Call::why, kAudit},
    {"GET", "/api/v1/who", &Call::who, kAudit},
    {"GET", "/api/v1/records", &Call::records, kAudit},
    {"GET", "/api/v1/keys", &Call::keys},
    {"POST", "/api/v1/keys", &Call::add_key},
    {"POST", "/api/v1/keys/rotate", &Call::rotate_key},
    {"POST", "/api/v1/keys/revoke", &Call::revoke_key},
    {"GET", "/api/v1/users", &Call::users},
    {"POST", "/api/v1/users", &Call::save_user},
    {"POST", "/api/v1/users/remove", &Call::remove_user},
};

}  // namespace

AdminApi::AdminApi(Controller& controller, Metrics& metrics, std::size_t threads)
    : controller_(controller), metrics_(metrics) {
  for (std::size_t i = 0; i < threads; ++i)
    threads_.emplace_back([this](std::stop_token stop) {
      std::unique_lock lock(mutex_);
      while (ready_.wait(lock, stop, [&] { return !waiting_.empty(); })) {
        auto job = std::move(waiting_.front());
        waiting_.pop_front();
        lock.unlock();
        job();
        lock.lock();
      }
    });
}

AdminApi::~AdminApi() = default;

void AdminApi::handle(HttpRequest request, net::Respond respond) {
  std::lock_guard lock(mutex_);
  waiting_.push_back([this, request = std::move(request), respond = std::move(respond)] {
    respond(answer(request));
  });
  ready_.notify_one();
}

std::vector<KeyScope> AdminApi::remote_scopes(std::string_view method, std::string_view path) {
  std::vector<KeyScope> out;
  for (const Route& route : kRoutes)
    if (route.path == path && route.method == method)
      for (unsigned bit = 0; bit < 32; ++bit)
        if ((route.scopes >> bit & 1u) != 0) out.push_back(KeyScope(bit));
  return out;
}

HttpResponse AdminApi::answer(const HttpRequest& request) {
  auto actor = request.peer_uid ? fmt::format("cli uid={}", *request.peer_uid) : "api";
  return answer(request, Caller{std::move(actor), std::nullopt});
}

HttpResponse AdminApi::answer(const HttpRequest& request, const Caller& caller) {
  if (request.path == "/metrics" && request.method == "GET")
    return reply(200, metrics_.text(controller_.status()), "text/plain; version=0.0.4");
  bool path_known = false;
  for (const Route& route : kRoutes) {
    if (route.path != request.path) continue;
    path_known = true;
    if (route.method != request.method) continue;
    auto arguments = Arguments::of(request);
    if (!arguments) return problem(arguments.error());
    Call call(controller_, caller, std::move(*arguments));
    try {
      auto done = (call.*route.call)();
      return done ? std::move(*done) : problem(done.error());
    } catch (const std::exception& problem_within) {
      // Boost.JSON throws at stored text that is no JSON (an edited database), and memory may end:
      // neither may end core.
      return problem(ErrorKind::internal,
                     "this cannot be answered: " + printable(problem_within.what()));
    }
  }
  if (path_known) return problem(ErrorKind::unsupported, request.method + " is not possible here");
  return problem(ErrorKind::not_found, "there is nothing at " + printable(request.path));
}

}  // namespace knock
