// SPDX-License-Identifier: Apache-2.0
#include "server/core/questions.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace knock {
namespace {

constexpr Duration kPatience = Duration::seconds(5);
constexpr std::uint32_t kMostLines = 24;  // of a rule, asked for one by one

std::size_t indent_of(std::string_view line) {
  auto at = line.find_first_not_of(' ');
  return at == line.npos ? line.size() : at;
}

bool says_nothing(std::string_view line) {
  auto text = trim(line);
  return text.empty() || text.starts_with('#');
}

}  // namespace

LineRange lines_of(std::string_view content, std::uint32_t line) {
  LineRange out{line, line};
  auto lines = split(content, '\n');
  if (line == 0 || line > lines.size()) return out;
  auto indent = indent_of(lines[line - 1]);
  for (auto i = line; i < lines.size(); ++i) {
    if (says_nothing(lines[i])) continue;
    if (indent_of(lines[i]) <= indent) break;
    out.last = i + 1;
  }
  return out;
}

Status Questions::not_ahead(Instant at) const {
  if (at <= in_.now) return {};
  return fail(ErrorKind::invalid,
              fmt::format("{} has not come yet (it is {}); `knock plan --at` shows what would be",
                          to_string(at), to_string(in_.now)));
}

PolicySource* Questions::source() {
  if (!source_)
    source_ = in_.history ? in_.history()
                          : Result<std::unique_ptr<PolicySource>>(
                                fail(ErrorKind::unsupported, "no source of policy is at hand"));
  return *source_ ? (*source_)->get() : nullptr;
}

const Questions::PolicyOrWhyNot& Questions::policy_of(const PolicyRevision& revision) {
  auto [at, fresh] = policies_.try_emplace(revision, PolicyOrWhyNot(nullptr));
  if (!fresh) return at->second;
  if (in_.policy != nullptr && in_.policy->revision == revision) {
    at->second = in_.policy;
    return at->second;
  }
  auto* source = this->source();
  if (source == nullptr) {
    at->second = fail(source_->error());
    return at->second;
  }
  auto snapshot = source->read(revision);
  if (!snapshot) {
    at->second = fail(snapshot.error());
    return at->second;
  }
  PolicyContext context;
  context.zones = in_.zones;
  auto load = load_policy(snapshot->files, revision, context);
  if (load.policy)
    at->second = std::make_shared<const Policy>(std::move(*load.policy));
  else
    at->second = fail(ErrorKind::invalid, "this version of knock does not read it any more");
  return at->second;
}

Result<std::optional<Session>> Questions::session_of(const SessionId& id) {
  auto at = sessions_.find(id);
  if (at != sessions_.end()) return at->second;
  KNOCK_ASSIGN(auto session, in_.store.session(id));
  return sessions_.emplace(id, std::move(session)).first->second;
}

std::optional<SourceRange> Questions::origin_of(const PolicyRevision& revision,
                                                const Attribution& cause) {
  const auto& policy = policy_of(revision);
  if (!policy || *policy == nullptr) return std::nullopt;
  auto find = [&](const auto& rules) -> std::optional<SourceRange> {
    for (const auto& rule : rules)
      if (rule.name == cause.rule) return rule.origin;
    return std::nullopt;
  };
  return cause.kind == Attribution::Kind::fixed ? find((*policy)->statics) : find((*policy)->allow);
}

std::optional<RuleAuthor> Questions::author_of_lines(const PolicyRevision& revision,
                                                     const SourceRange& origin,
                                                     std::string& problem) {
  auto* source = this->source();
  if (source == nullptr) {
    problem = source_->error().message;
    return std::nullopt;
  }
  auto deadline = Deadline::in(kPatience);
  LineRange lines{origin.line, origin.line};
  if (auto snapshot = source->read(revision))
    for (const PolicyFile& file : snapshot->files)
      if (file.path == origin.file) lines = lines_of(file.content, origin.line);
  std::optional<LineOrigin> newest;
  for (auto line = lines.first; line <= std::min(lines.last, lines.first + kMostLines); ++line) {
    auto one = source->last_change(revision, origin.file, line, deadline);
    if (!one) {
      problem = one.error().message;
      return std::nullopt;
    }
    if (!newest || newest->at < one->at) newest = std::move(*one);
  }
  auto author = newest->mail.empty() ? newest->name : newest->name + " <" + newest->mail + ">";
  return RuleAuthor{RuleAuthor::Known::lines, std::move(author), newest->subject,
                    newest->revision,         newest->at,        ""};
}

RuleAuthor Questions::author_of(const PolicyRevision& revision, const SourceRange& origin) {
  auto [at, fresh] = authors_.try_emplace({revision, origin});
  if (!fresh) return at->second;
  std::string problem;
  if (auto lines = author_of_lines(revision, origin, problem)) {
    at->second = *std::move(lines);
    return at->second;
  }
  RuleAuthor& out = at->second;
  out.commit = revision;
  out.problem = std::move(problem);
  if (auto adoption = in_.store.adoption_of(revision); adoption && *adoption) {
    out.author = (*adoption)->author;
    out.subject = (*adoption)->subject;
    out.at = (*adoption)->at;
    if (!out.author.empty()) out.known = RuleAuthor::Known::commit;
  }
  return out;
}

// ---- marks ----

namespace {

/// As a firewall shows it: `comment "knock:1:…"`, with or without the word and the quotes.
std::string_view bare_mark(std::string_view text) {
  text = trim(text);
  if (text.starts_with("comment ")) text = trim(text.substr(8));
  if (text.size() >= 2 && (text.front() == '"' || text.front() == '\'') &&
      text.back() == text.front())
    text = text.substr(1, text.size() - 2);
  return trim(text);
}

std::string unknown_mark(std::string_view text) {
  if (text.starts_with("knock:1:"))
    return fmt::format(
        "this begins like a mark of knock's and is damaged: a mark is 52 characters, "
        "knock:1:OWNER:DEADLINE:ENTRY with 16, 10 and 16 hexadecimal digits, and this is {}. "
        "Nothing that carries it is ours; copy the whole comment",
        counted(text.size(), "character", "characters"));
  return fmt::format(
      "this is a mark of a version that knock {} does not know ({}). What carries it is not ours: "
      "it is left alone and reported. Ask with the newer knock that wrote it",
      KNOCK_VERSION, printable(text.substr(0, 40)));
}

std::string standing_sentence(const Marker& mark, const AppliedInterval& last) {
  auto text = fmt::format("{} holds {} in {} since {}, until {}", last.entry.target.value,
                          last.entry.prefix.to_string(), printable(last.entry.slot),
                          to_string(last.entry.since), to_string(last.entry.until));
  if (mark.until != last.entry.until)
    text += fmt::format(" (the mark says until {})", to_string(mark.until));
  return text;
}

std::string gone_sentence(const AppliedInterval& last) {
  return fmt::format("{} held {} in {} from {} to {}; {}", last.entry.target.value,
                     last.entry.prefix.to_string(), printable(last.entry.slot),
                     to_string(last.entry.since), to_string(last.till),
                     last.reason ? fmt::format("then it was removed: {}", to_string(*last.reason))
                                 : std::string("then it ran out"));
}

}  // namespace

bool Questions::is_mark(const std::string& text) {
  auto bare = bare_mark(text);
  return parse_marker(bare) || is_unknown_marker(bare) || bare.starts_with("knock:1:");
}

Result<MarkAnswer> Questions::mark(const std::string& text) {
  MarkAnswer out;
  auto bare = bare_mark(text);
  out.mark = parse_marker(bare);
  if (!out.mark) {
    out.sentence = unknown_mark(bare);
    return out;
  }
  if (out.mark->owner != in_.config.owner) {
    out.kind = MarkAnswer::Kind::foreign;
    out.sentence = fmt::format(
        "this is the mark of another installation, owner {}; this one is {}. knock leaves it alone "
        "here and knows nothing about it: ask where `owner: {}` stands in knock.yaml",
        out.mark->owner.to_string(), in_.config.owner.to_string(), out.mark->owner.to_string());
    return out;
  }
  KNOCK_ASSIGN(out.times, in_.store.entry_history(out.mark->entry));
  if (out.times.empty()) {
    out.kind = MarkAnswer::Kind::orphan;
    out.sentence = fmt::format(
        "this is our owner's mark, but the log knows of no entry {}: it was put there by hand, or "
        "by a controller whose log this is not. The controller removes it when it reads the target",
        out.mark->entry.to_string());
    return out;
  }
  const AppliedInterval& last = out.times.back();
  bool stands = !last.removed && last.entry.until > in_.now;
  out.kind = stands ? MarkAnswer::Kind::stands : MarkAnswer::Kind::gone;
  out.sentence = stands ? standing_sentence(*out.mark, last) : gone_sentence(last);
  for (const Attribution& cause : last.entry.causes) {
    MarkedCause& one = out.causes.emplace_back();
    one.cause = cause;
    if (!cause.session.empty()) {
      KNOCK_ASSIGN(one.session, session_of(cause.session));
    }
    auto origin = origin_of(last.entry.policy, cause);
    if (!origin) continue;
    one.origin = *origin;
    one.author = author_of(last.entry.policy, *origin);
    if (cause.kind == Attribution::Kind::fixed)
      one.fixed = explain_static(**policy_of(last.entry.policy), cause.rule, cause.service,
                                 last.entry.prefix);
  }
  return out;
}

}  // namespace knock
