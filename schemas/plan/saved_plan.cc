// SPDX-License-Identifier: Apache-2.0
// The saved plan file: NDJSON, so that neither side holds a tree of it.
//
//   {"knock_plan":"1.1","owner":…,"nonce":…,"expires":…,"policy":…,"key":…,"id":…,"from":…,"to":…,"sequence":…,"as_of":…}
//   {"line":"edit","edit":{…}}                any number of each
//   {"line":"figure","figure":{…}}
//   {"line":"person","person":{…}}
//   {"line":"cut","cut":{…}}
//   {"line":"finding","finding":{…}}          of the whole plan
//   {"line":"guard","guard":{…}}
//   {"line":"target","target":{…}}            then what belongs to it, `in` = the target's number
//   from 0:
//   {"line":"change","in":0,"held":false,"change":{…}}
//   {"line":"finding","in":0,"finding":{…}}
//   {"line":"end","lines":N,"sha256":…,"ed25519":…}       over every byte before this line
//
// The digest finds accidents and careless edits. The signature, where a controller made the plan, finds careful ones: it is
// over the digest, by the header's `key`, which the caller compares with the installation's own. A plan made without a
// controller has neither `key` nor `ed25519`. What protects an apply in either case is that the plan is computed again and
// compared.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json/value.hpp>

#include "base/random.h"
#include "base/text.h"
#include "schemas/json/strict_json.h"
#include "schemas/plan/change_codec.h"
#include "schemas/plan/codec.h"
#include "schemas/plan/plan_parts.h"

namespace knock {
namespace {

constexpr std::size_t kNonceBytes = 16;
constexpr unsigned kMinor = 1;  // of kPlanVersion

/// What is signed: the digest, so that nobody needs the file as one text, under a name of its own, so that no other
/// signature of the same key is one of a plan.
std::string signed_text(const Digest& digest) { return "knock saved plan 1\n" + to_hex(digest); }

template <std::size_t N>
std::string base64url_of(const std::array<std::uint8_t, N>& bytes) {
  return base64url({reinterpret_cast<const char*>(bytes.data()), N});
}

template <class Bytes>
std::optional<Bytes> bytes_from(std::string_view text) {
  std::string raw;
  Bytes out{};
  if (!base64url_decode(text, raw) || raw.size() != out.size()) return std::nullopt;
  std::copy(raw.begin(), raw.end(), out.begin());
  return out;
}

// ---- writing ----

class SavedWriter {
 public:
  SavedWriter(const Write& out, const Ed25519Key* signer)
      : signer_(signer), json_([this, &out](std::string_view piece) {
          digest_.add(piece);
          out(piece);
        }) {}

  void header(const SavedPlan& saved) {
    json_.begin_object().text("knock_plan", kPlanVersion);
    json_.text("owner", saved.owner.to_string()).text("nonce", saved.nonce);
    json_.time("expires", saved.expires);
    if (saved.policy) json_.text("policy", to_hex(*saved.policy));
    if (signer_ != nullptr) json_.text("key", base64url_of(signer_->public_key()));
    write_plan_members(json_, saved.plan);
    end_line();
  }
  void person(const PersonChange& person) {
    line("person").key("person");
    write_person(json_, person, View::full);
    end_line();
  }
  void edit(const PolicyEdit& edit) {
    line("edit").key("edit");
    write_edit(json_, edit, View::full);
    end_line();
  }
  void figure(const PeopleFigure& figure) {
    line("figure").key("figure");
    write_figure(json_, figure);
    end_line();
  }
  void cut(const SessionCut& cut) {
    line("cut").key("cut");
    write_cut(json_, cut, View::full);
    end_line();
  }
  void finding(const Finding& finding, std::optional<std::size_t> target) {
    line("finding");
    if (target) json_.number("in", *target);
    json_.key("finding");
    write_finding(json_, finding, View::full);
    end_line();
  }
  void guard(const GuardTrip& guard) {
    line("guard").key("guard");
    write_guard(json_, guard, View::full);
    end_line();
  }
  void target(const TargetPlan& target, std::size_t index) {
    line("target").key("target").begin_object();
    write_target_members(json_, target, View::full);
    if (target.state) json_.text("state", to_hex(*target.state));
    json_.end_object();
    end_line();
    for (const auto& one : target.changes) change(one, index, false);
    for (const auto& one : target.held) change(one, index, true);
    for (const auto& one : target.findings) finding(one, index);
  }
  void footer(const Write& out) {
    json_.flush();
    JsonWriter last(out);
    last.begin_object().text("line", "end").number("lines", lines_);
    auto digest = digest_.finish();
    last.text("sha256", to_hex(digest));
    if (signer_ != nullptr) last.text("ed25519", base64url_of(signer_->sign(signed_text(digest))));
    last.end_object().newline().flush();
  }

 private:
  JsonWriter& line(std::string_view kind) { return json_.begin_object().text("line", kind); }
  void end_line() {
    json_.end_object().newline();
    ++lines_;
  }
  void change(const Change& change, std::size_t index, bool held) {
    line("change").number("in", index).flag("held", held).key("change");
    write_change(json_, change);
    end_line();
  }

  const Ed25519Key* signer_;
  Sha256 digest_;
  JsonWriter json_;
  std::size_t lines_ = 0;
};

// ---- reading ----

tl::unexpected<Error> refuse(std::string_view reason, std::string_view sentence) {
  return fail(ErrorKind::invalid, fmt::format("saved-plan.{}: {}", reason, sentence));
}

/// "json.type: …" of the shared readers as "saved-plan.type: …".
tl::unexpected<Error> of_plan(Error error) {
  constexpr std::string_view kPrefix = "json.";
  if (error.message.starts_with(kPrefix)) error.message.replace(0, kPrefix.size(), "saved-plan.");
  return fail(std::move(error));
}

/// "1.x" gives x.
std::optional<unsigned> minor_of(std::string_view version) {
  constexpr std::string_view kMajor = "1.";
  if (!version.starts_with(kMajor)) return std::nullopt;
  auto digits = version.substr(kMajor.size());
  if (digits.empty() || digits.size() > 4) return std::nullopt;
  unsigned minor = 0;
  for (char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    minor = minor * 10 + unsigned(c - '0');
  }
  return minor;
}

struct Parts {
  std::string_view first;   // the header line
  std::string_view body;    // the lines between, each with its newline
  std::string_view last;    // the footer line
  std::string_view sealed;  // header and body: what the footer's digest covers
};

class Reader {
 public:
  Result<SavedPlan> read(std::string_view text);

 private:
  Result<Parts> split_up(std::string_view text);
  Status header(std::string_view line);
  Status footer(const Parts& parts);
  Status check_signature(const std::optional<Ed25519Signature>& signature,
                         const Digest& digest) const;
  Status body(std::string_view text);
  Status line(std::string_view text);
  Status add_finding(ObjectReader& in, const std::string& where);
  Status add_change(ObjectReader& in, const std::string& where);
  Status add_target(ObjectReader& in, const std::string& where);
  Result<const boost::json::value*> object(ObjectReader& in, std::string_view key);
  TargetPlan* target_of(ObjectReader& in);
  template <class T, class Read>
  Status add_to(std::vector<T>& list, ObjectReader& in, const std::string& kind,
                const std::string& where, Read read) {
    KNOCK_ASSIGN(auto* value, object(in, kind));
    KNOCK_ASSIGN(auto one, read(*value, where, others_));
    list.push_back(std::move(one));
    return {};
  }

  SavedPlan saved_;
  Others others_ = Others::refused;
  std::size_t line_ = 1;  // number of the line being read, from 1
};

Result<Parts> Reader::split_up(std::string_view text) {
  auto first_end = text.find('\n');
  auto first = text.substr(0, first_end);
  if (!first.starts_with("{\"knock_plan\":"))
    return refuse("foreign", "this is not a plan that `knock plan --out` wrote");
  KNOCK_CHECK(header(first));
  if (text.back() != '\n' || first_end + 1 == text.size())
    return refuse("truncated", "the file ends in the middle; copy it again or make a new plan");
  auto before_last = text.rfind('\n', text.size() - 2);
  Parts parts;
  parts.first = first;
  parts.sealed = text.substr(0, before_last + 1);
  parts.body = parts.sealed.substr(first_end + 1);
  parts.last = text.substr(before_last + 1, text.size() - before_last - 2);
  return parts;
}

Status Reader::header(std::string_view line) {
  auto value = parse_strict(line);
  if (!value) return of_plan(std::move(value.error()));
  ObjectReader in(*value, "header");
  auto version = in.text("knock_plan");
  auto minor = minor_of(version);
  if (!minor)
    return refuse("version",
                  fmt::format("it is of version \"{}\", and this knock reads 1.x; use the "
                              "knock that wrote it, or make a new plan",
                              printable(version)));
  if (*minor > kMinor) others_ = Others::allowed;
  saved_.owner = in.parsed("owner", "16 hex digits", OwnerId::parse);
  saved_.nonce = in.text("nonce");
  std::string bytes;
  if (in.ok() && (!base64url_decode(saved_.nonce, bytes) || bytes.size() != kNonceBytes))
    in.refuse("value", "nonce", "is not 128 bits in base64url");
  saved_.expires = in.time("expires");
  if (in.has("policy")) saved_.policy = in.parsed("policy", "64 hex digits", digest_from_hex);
  if (in.has("key"))
    saved_.key = in.parsed("key", "256 bits in base64url", bytes_from<Ed25519Public>);
  read_plan_members(in, saved_.plan, others_);
  if (auto status = in.finish(others_); !status) return of_plan(std::move(status.error()));
  return {};
}

Status Reader::footer(const Parts& parts) {
  auto value = parse_strict(parts.last);
  if (!value || !parts.last.starts_with("{\"line\":\"end\"")) {
    if (parts.body.find("\n{\"line\":\"end\"") != std::string_view::npos)
      return refuse("trailing", "something stands behind the end of the plan; make a new plan");
    return refuse("truncated", "the end of the plan is missing; copy it again or make a new plan");
  }
  ObjectReader in(*value, "end");
  in.text("line");
  auto lines = in.number("lines");
  auto digest = in.parsed("sha256", "64 hex digits", digest_from_hex);
  std::optional<Ed25519Signature> signature;
  if (in.has("ed25519"))
    signature = in.parsed("ed25519", "512 bits in base64url", bytes_from<Ed25519Signature>);
  if (auto status = in.finish(others_); !status) return of_plan(std::move(status.error()));
  if (digest != sha256(parts.sealed))
    return refuse("edited",
                  "its content does not match its digest: it was changed or damaged after "
                  "it was written; make a new plan");
  auto counted = std::uint64_t(std::count(parts.sealed.begin(), parts.sealed.end(), '\n'));
  if (lines != counted)
    return refuse(
        "count", fmt::format("its end speaks of {} lines, and there are {}; make a new plan", lines,
                             counted));
  return check_signature(signature, digest);
}

Status Reader::check_signature(const std::optional<Ed25519Signature>& signature,
                               const Digest& digest) const {
  if (signature.has_value() != saved_.key.has_value())
    return refuse("signature", saved_.key
                                   ? "it names the key of a controller and has no signature: "
                                     "it was changed after it was written; make a new plan"
                                   : "it has a signature and names no key: it was changed "
                                     "after it was written; make a new plan");
  if (signature && saved_.key && !verify(*saved_.key, signed_text(digest), *signature))
    return refuse(
        "signature",
        fmt::format("its signature is not one of key {} over this content: it was changed "
                    "after the controller signed it; make a new plan",
                    base64url_of(*saved_.key).substr(0, 12)));
  return {};
}

Result<const boost::json::value*> Reader::object(ObjectReader& in, std::string_view key) {
  auto* found = in.member(key);
  if (found == nullptr) in.refuse("missing", key, "is missing");
  KNOCK_CHECK(in.finish(others_));
  return found;
}

/// The target that a line's `in` names; nullptr after an error.
TargetPlan* Reader::target_of(ObjectReader& in) {
  auto index = in.number("in");
  auto& targets = saved_.plan.targets;
  if (in.ok() && index < targets.size()) return &targets[index];
  in.refuse("index", "in",
            fmt::format("is {}, and {} came before this line", index,
                        counted(targets.size(), "target", "targets")));
  return nullptr;
}

Status Reader::add_finding(ObjectReader& in, const std::string& where) {
  auto* list = &saved_.plan.findings;
  if (in.has("in")) {
    if (auto* target = target_of(in)) list = &target->findings;
  }
  KNOCK_ASSIGN(auto* value, object(in, "finding"));
  KNOCK_ASSIGN(auto finding, read_finding(*value, where, others_));
  list->push_back(std::move(finding));
  return {};
}

Status Reader::add_change(ObjectReader& in, const std::string& where) {
  auto* target = target_of(in);
  bool held = in.flag("held");
  KNOCK_ASSIGN(auto* value, object(in, "change"));
  KNOCK_ASSIGN(auto change, read_change(*value, where, others_));
  (held ? target->held : target->changes).push_back(std::move(change));
  return {};
}

Status Reader::add_target(ObjectReader& in, const std::string& where) {
  KNOCK_ASSIGN(auto* value, object(in, "target"));
  KNOCK_ASSIGN(auto target, read_target(*value, where, others_));
  auto& targets = saved_.plan.targets;
  if (!targets.empty() && !(targets.back().target < target.target))
    return refuse("order", fmt::format("{}: the target \"{}\" stands behind \"{}\"; targets are "
                                       "sorted by name and come once",
                                       where, printable(target.target.value),
                                       printable(targets.back().target.value)));
  targets.push_back(std::move(target));
  return {};
}

Status Reader::line(std::string_view text) {
  auto where = fmt::format("line {}", line_);
  KNOCK_ASSIGN(auto value, parse_strict(text));
  ObjectReader in(value, where);
  auto kind = in.text("line");
  if (!in.ok()) return in.finish();
  if (kind == "change") return add_change(in, where);
  if (kind == "target") return add_target(in, where);
  if (kind == "finding") return add_finding(in, where);
  Plan& plan = saved_.plan;
  if (kind == "edit") return add_to(plan.edits, in, kind, where, read_edit);
  if (kind == "figure") return add_to(plan.figures, in, kind, where, read_figure);
  if (kind == "person") return add_to(plan.people, in, kind, where, read_person);
  if (kind == "cut") return add_to(plan.cuts, in, kind, where, read_cut);
  if (kind == "guard") return add_to(plan.guards, in, kind, where, read_guard);
  if (kind == "end") return refuse("trailing", where + ": the plan ends twice; make a new plan");
  if (others_ == Others::allowed) return {};
  return refuse("line", fmt::format("{}: \"{}\" is not a kind of line this version knows", where,
                                    printable(kind)));
}

Status Reader::body(std::string_view text) {
  while (!text.empty()) {
    ++line_;
    auto end = text.find('\n');
    if (auto status = line(text.substr(0, end)); !status) return of_plan(std::move(status.error()));
    text.remove_prefix(end + 1);
  }
  return {};
}

Result<SavedPlan> Reader::read(std::string_view text) {
  if (text.size() > kMaxSavedPlan)
    return refuse("size",
                  fmt::format("it has {} bytes, and {} are the limit", text.size(), kMaxSavedPlan));
  KNOCK_ASSIGN(auto parts, split_up(text));
  KNOCK_CHECK(footer(parts));
  KNOCK_CHECK(body(parts.body));
  return std::move(saved_);
}

}  // namespace

void write_saved(const SavedPlan& saved, const Write& out, const Ed25519Key* signer) {
  SavedWriter writer(out, signer);
  writer.header(saved);
  for (const auto& edit : saved.plan.edits) writer.edit(edit);
  for (const auto& figure : saved.plan.figures) writer.figure(figure);
  for (const auto& person : saved.plan.people) writer.person(person);
  for (const auto& cut : saved.plan.cuts) writer.cut(cut);
  for (const auto& finding : saved.plan.findings) writer.finding(finding, std::nullopt);
  for (const auto& guard : saved.plan.guards) writer.guard(guard);
  for (std::size_t i = 0; i < saved.plan.targets.size(); ++i)
    writer.target(saved.plan.targets[i], i);
  writer.footer(out);
}

Result<SavedPlan> read_saved(std::string_view text) { return Reader().read(text); }

}  // namespace knock
