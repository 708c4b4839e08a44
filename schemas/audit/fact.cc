// SPDX-License-Identifier: Apache-2.0
#include "schemas/audit/fact.h"

#include <fmt/format.h>

#include <map>

#include "schemas/audit/fact_fields.h"
#include "schemas/json/json_writer.h"
#include "schemas/json/object_reader.h"
#include "schemas/json/strict_json.h"
#include "schemas/plan/change_codec.h"

namespace knock {
namespace {

// ---- kinds: a promise to people's queries and alarms (docs/events.md) ----

template <class T>
constexpr std::string_view kKind = "";
template <>
constexpr std::string_view kKind<ControllerStarted> = "controller.started";
template <>
constexpr std::string_view kKind<PolicyAdopted> = "policy.adopted";
template <>
constexpr std::string_view kKind<PolicyRefused> = "policy.refused";
template <>
constexpr std::string_view kKind<SessionOpened> = "session.opened";
template <>
constexpr std::string_view kKind<SessionExtended> = "session.extended";
template <>
constexpr std::string_view kKind<SessionEnded> = "session.ended";
template <>
constexpr std::string_view kKind<SignInRefused> = "sign-in.refused";
template <>
constexpr std::string_view kKind<ChangeIntended> = "change.intended";
template <>
constexpr std::string_view kKind<ChangeApplied> = "change.applied";
template <>
constexpr std::string_view kKind<ChangeRejected> = "change.rejected";
template <>
constexpr std::string_view kKind<EntryExpired> = "entry.expired";
template <>
constexpr std::string_view kKind<DriftFound> = "drift.found";
template <>
constexpr std::string_view kKind<AccountChanged> = "account.changed";
template <>
constexpr std::string_view kKind<PlanUsed> = "plan.used";
template <>
constexpr std::string_view kKind<GuardAcknowledged> = "guard.acknowledged";

template <>
constexpr std::string_view kKind<KeyChanged> = "key.changed";
template <>
constexpr std::string_view kKind<KeyRefused> = "key.refused";

template <>
constexpr std::string_view kKind<PolicyAdvanced> = "policy.advanced";

template <>
constexpr std::string_view kKind<OwnershipChanged> = "target.ownership";

template <>
constexpr std::string_view kKind<TargetPaused> = "target.paused";
template <>
constexpr std::string_view kKind<TargetResumed> = "target.resumed";

template <>
constexpr std::string_view kKind<StoreRestored> = "store.restored";
template <>
constexpr std::string_view kKind<StoreRecovered> = "store.recovered";
template <>
constexpr std::string_view kKind<SessionGroups> = "session.groups";
template <>
constexpr std::string_view kKind<SourceSuspected> = "source.suspected";
template <>
constexpr std::string_view kKind<SourceCleared> = "source.cleared";
template <>
constexpr std::string_view kKind<ConfirmationDue> = "policy.confirmation-due";
template <>
constexpr std::string_view kKind<PolicyConfirmed> = "policy.confirmed";
template <>
constexpr std::string_view kKind<PolicyReturned> = "policy.returned";

// ---- words of enums ----

std::string_view word(Lasts lasts) { return to_string(lasts); }
std::string_view word(Step step) { return to_string(step); }
std::string_view word(Action action) { return to_string(action); }
std::string_view word(Reason reason) { return to_string(reason); }
std::string_view word(Proof proof) { return to_string(proof); }
std::string_view word(EndCause cause) { return to_string(cause); }

// ---- values to canonical JSON ----

std::string quoted(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

std::string render(const std::string& text) { return quoted(text); }
template <class Tag>
std::string render(const Name<Tag>& name) {
  return quoted(name.value);
}
std::string render(std::uint64_t number) { return std::to_string(number); }
std::string render(bool flag) { return flag ? "true" : "false"; }
std::string render(Instant instant) { return quoted(exact_time(instant)); }
std::string render(const Prefix& prefix) { return quoted(prefix.to_string()); }
std::string render(const IpAddress& address) { return quoted(address.to_string()); }
std::string render(const PortRange& range) { return quoted(range.to_string()); }
std::string render(EntryId id) { return quoted(id.to_string()); }
std::string render(OwnerId id) { return quoted(id.to_string()); }
template <class Enum>
  requires std::is_enum_v<Enum>
std::string render(Enum value) {
  return quoted(word(value));
}

using Members = std::map<std::string_view, std::string>;

std::string object_of(const Members& members) {
  std::string out = "{";
  for (const auto& [key, value] : members) {
    if (out.size() > 1) out += ',';
    out += quoted(key);
    out += ':';
    out += value;
  }
  return out += '}';
}

std::string_view kind_word(Attribution::Kind kind) {
  return kind == Attribution::Kind::session ? "session" : "static";
}

std::string render(const Attribution& cause) {
  Members members{{"kind", quoted(kind_word(cause.kind))},
                  {"rule", render(cause.rule)},
                  {"service", render(cause.service)},
                  {"until", render(cause.until)}};
  if (!cause.session.empty()) members["session"] = render(cause.session);
  if (cause.lasts != Lasts::until_deadline) members["lasts"] = render(cause.lasts);
  return object_of(members);
}

template <class T>
std::string render(const std::vector<T>& values) {
  std::string out = "[";
  for (const auto& value : values) {
    if (out.size() > 1) out += ',';
    out += render(value);
  }
  return out += ']';
}

std::string render(const std::map<std::string, std::vector<std::string>>& claims) {
  Members members;
  for (const auto& [claim, values] : claims) members[claim] = render(values);
  return object_of(members);
}

std::string render(const SessionEnd& end) {
  return object_of({{"at", render(end.at)}, {"cause", render(end.cause)}});
}

template <class T>
std::string render(const Shared<T>& value) {
  return render(value.get());
}

class Encoder {
 public:
  static constexpr bool kReading = false;

  template <class T>
  void shown(std::string_view key, const T& value) {
    public_[key] = render(value);
  }
  template <class T>
  void shown(std::string_view key, const std::optional<T>& value) {
    if (value) public_[key] = render(*value);
  }
  /// What older records do not say was so.
  template <class T>
  void shown_unless_default(std::string_view key, const T& value) {
    if (!(value == T{})) shown(key, value);
  }
  /// An empty value leaves no member, so that a fact about nobody has no personal part.
  template <class T>
  void personal(std::string_view key, const T& value) {
    if (!(value == T{})) personal_[key] = render(value);
  }
  void causes(const std::vector<Attribution>& causes) {
    std::vector<std::string> who;
    bool named = false;
    for (const auto& cause : causes) {
      who.push_back(cause.who);
      named = named || !cause.who.empty();
    }
    shown("causes", causes);
    if (named) personal("who", who);
  }

  std::string public_json() const { return object_of(public_); }
  std::string personal_json() const { return personal_.empty() ? "" : object_of(personal_); }

 private:
  Members public_, personal_;
};

// ---- and back ----

void read(ObjectReader& in, std::string_view key, std::string& out) { out = in.text(key); }
template <class Tag>
void read(ObjectReader& in, std::string_view key, Name<Tag>& out) {
  out = Name<Tag>(in.text(key));
}
void read(ObjectReader& in, std::string_view key, std::uint64_t& out) { out = in.number(key); }
void read(ObjectReader& in, std::string_view key, bool& out) { out = in.flag(key); }
void read(ObjectReader& in, std::string_view key, Instant& out) { out = in.time(key); }
void read(ObjectReader& in, std::string_view key, Prefix& out) {
  out = in.parsed(key, "a prefix", Prefix::parse_exact);
}
void read(ObjectReader& in, std::string_view key, IpAddress& out) {
  out = in.parsed(key, "an IP address", IpAddress::parse);
}
void read(ObjectReader& in, std::string_view key, OwnerId& out) {
  out = in.parsed(key, "16 hex digits", OwnerId::parse);
}
void read(ObjectReader& in, std::string_view key, EntryId& out) {
  out = in.parsed(key, "16 hex digits", EntryId::parse);
}
void read(ObjectReader& in, std::string_view key, Step& out) {
  out = in.parsed(key, "a step", step_from);
}
void read(ObjectReader& in, std::string_view key, Lasts& out) {
  out = in.parsed(key, "a way to last", lasts_from);
}
void read(ObjectReader& in, std::string_view key, Action& out) {
  out = in.parsed(key, "an action", action_from);
}
void read(ObjectReader& in, std::string_view key, Reason& out) {
  out = in.parsed(key, "a reason", reason_from);
}
void read(ObjectReader& in, std::string_view key, Proof& out) {
  out = in.parsed(key, "a proof", proof_from);
}
void read(ObjectReader& in, std::string_view key, EndCause& out) {
  out = in.parsed(key, "an end's cause", end_cause_from);
}
void read(ObjectReader& in, std::string_view key, std::vector<std::string>& out) {
  out = in.texts(key);
}

void read(ObjectReader& in, std::string_view key,
          std::map<std::string, std::vector<std::string>>& out) {
  const auto* value = in.member(key);
  const auto* object = value != nullptr ? value->if_object() : nullptr;
  if (object == nullptr) return in.refuse("type", key, "must be an object of lists");
  ObjectReader claims(*value, std::string(key));
  for (const auto& member : *object)
    out.emplace(std::string(member.key()), claims.texts(member.key()));
  if (auto status = claims.finish(); !status) in.adopt(std::move(status.error()));
}

template <class T>
void read_parsed(ObjectReader& in, std::string_view key, std::string_view what, std::vector<T>& out,
                 std::optional<T> (*parse)(std::string_view)) {
  for (const auto& text : in.texts(key)) {
    auto value = parse(text);
    if (!value) return in.refuse("value", key, fmt::format("holds what is not {}", what));
    out.push_back(*value);
  }
}
void read(ObjectReader& in, std::string_view key, std::vector<Prefix>& out) {
  read_parsed(in, key, "a prefix", out, Prefix::parse_exact);
}
void read(ObjectReader& in, std::string_view key, std::vector<PortRange>& out) {
  read_parsed(in, key, "a port range", out, PortRange::parse);
}

template <class T>
void read(ObjectReader& in, std::string_view key, SharedList<T>& out) {
  std::vector<T> list;
  read(in, key, list);
  out = std::move(list);
}
void read(ObjectReader& in, std::string_view key, SharedText& out) { out = in.text(key); }

std::optional<Attribution::Kind> kind_from(std::string_view text) {
  for (auto kind : {Attribution::Kind::session, Attribution::Kind::fixed})
    if (kind_word(kind) == text) return kind;
  return std::nullopt;
}

Result<Attribution> read_cause(const boost::json::value& value) {
  ObjectReader in(value, "cause");
  Attribution cause;
  cause.kind = in.parsed("kind", "session or static", kind_from);
  cause.session = SessionId(in.text_or("session", ""));
  read(in, "rule", cause.rule);
  read(in, "service", cause.service);
  read(in, "until", cause.until);
  if (in.member("lasts") != nullptr) read(in, "lasts", cause.lasts);
  KNOCK_CHECK(in.finish());
  return cause;
}

void read(ObjectReader& in, std::string_view key, SessionEnd& out) {
  ObjectReader end(*in.member(key), std::string(key));
  read(end, "at", out.at);
  read(end, "cause", out.cause);
  if (auto status = end.finish(); !status) in.adopt(std::move(status.error()));
}

class Decoder {
 public:
  static constexpr bool kReading = true;
  Decoder(const boost::json::value& shown, const boost::json::value& personal)
      : public_(shown, "public part"), personal_(personal, "personal part") {}

  template <class T>
  void shown(std::string_view key, T& value) {
    read(public_, key, value);
  }
  template <class T>
  void shown(std::string_view key, std::optional<T>& value) {
    if (public_.member(key) != nullptr) read(public_, key, value.emplace());
  }
  template <class T>
  void shown_unless_default(std::string_view key, T& value) {
    if (public_.member(key) != nullptr) read(public_, key, value);
  }
  template <class T>
  void personal(std::string_view key, T& value) {
    if (personal_.has(key)) read(personal_, key, value);
  }
  void causes(SharedList<Attribution>& out) {
    std::vector<Attribution> causes;
    for (auto* element : public_.list("causes")) {
      auto cause = read_cause(*element);
      if (!cause) return public_.adopt(std::move(cause.error()));
      causes.push_back(*std::move(cause));
    }
    std::vector<std::string> who(causes.size());
    personal("who", who);
    if (who.size() != causes.size())
      return personal_.refuse("value", "who", "must name one person for each cause");
    for (std::size_t i = 0; i < who.size(); ++i) causes[i].who = std::move(who[i]);
    out = std::move(causes);
  }

  Status finish() {
    KNOCK_CHECK(public_.finish());
    return personal_.finish();
  }

 private:
  ObjectReader public_, personal_;
};

// ---- whose key commits the personal part ----

std::string holder_of(const ControllerStarted&) { return ""; }
std::string holder_of(const PolicyAdopted& f) { return "author " + f.author; }
std::string holder_of(const PolicyRefused&) { return ""; }
std::string holder_of(const SessionOpened& f) { return f.session.principal.key(); }
std::string holder_of(const SessionExtended& f) { return "session " + f.session.value; }
std::string holder_of(const SessionEnded& f) { return "session " + f.session.value; }
std::string address_holder(const std::string& text) {
  auto address = IpAddress::parse(text);
  return "address " + (address ? Prefix::host(*address).to_string() : text);
}
std::string holder_of(const SignInRefused& f) { return address_holder(f.address); }
std::string holder_of(const Change& change) {
  if (change.prefix == Prefix())
    return "standing";  // keep lists: operators' networks, nobody's own
  return "address " + change.prefix.to_string();
}
std::string holder_of(const ChangeIntended& f) { return holder_of(f.change); }
std::string holder_of(const ChangeApplied& f) { return holder_of(f.change); }
std::string holder_of(const ChangeRejected& f) { return holder_of(f.change); }
std::string holder_of(const EntryExpired& f) { return "address " + f.prefix.to_string(); }
std::string holder_of(const DriftFound& f) { return "address " + f.prefix.to_string(); }
std::string holder_of(const AccountChanged& f) { return Principal{"local", f.user, ""}.key(); }
std::string holder_of(const PlanUsed&) { return ""; }
std::string holder_of(const GuardAcknowledged&) { return ""; }
std::string holder_of(const KeyChanged& f) { return "key " + f.key; }
std::string holder_of(const PolicyAdvanced& f) {
  return f.reason.empty() ? "" : "reason for policy " + f.revision.value;
}
std::string holder_of(const OwnershipChanged&) { return ""; }
std::string holder_of(const TargetPaused& f) {
  return f.reason.empty() ? "" : "reason for pausing " + f.target.value;
}
std::string holder_of(const TargetResumed& f) {
  return f.reason.empty() ? "" : "reason for resuming " + f.target.value;
}
std::string holder_of(const StoreRestored&) { return ""; }
std::string holder_of(const StoreRecovered& f) {
  return f.reason.empty() ? "" : "reason for going on after a restore";
}
std::string holder_of(const SessionGroups& f) { return "session " + f.session.value; }
std::string holder_of(const SourceSuspected&) { return ""; }
std::string holder_of(const SourceCleared&) { return ""; }
std::string holder_of(const ConfirmationDue&) { return ""; }
std::string holder_of(const PolicyConfirmed&) { return ""; }
std::string holder_of(const PolicyReturned&) { return ""; }
std::string holder_of(const KeyRefused& f) { return address_holder(f.address); }

template <std::size_t I = 0>
Result<Fact> decode_as(std::string_view kind, Decoder& in) {
  if constexpr (I == std::variant_size_v<Fact>) {
    return fail(ErrorKind::invalid, fmt::format("fact.kind: \"{}\" is not a kind of fact this "
                                                "version knows; a newer knock wrote it",
                                                kind));
  } else {
    using T = std::variant_alternative_t<I, Fact>;
    static_assert(!kKind<T>.empty());
    if (kind != kKind<T>) return decode_as<I + 1>(kind, in);
    T fact;
    fact_fields::members(in, fact);
    KNOCK_CHECK(in.finish());
    return Fact(std::move(fact));
  }
}

}  // namespace

std::string_view kind_of(const Fact& fact) {
  return std::visit([]<class T>(const T&) { return kKind<T>; }, fact);
}

EncodedFact encode(const Fact& fact) {
  return std::visit(
      []<class T>(const T& one) {
        Encoder out;
        fact_fields::members(out, one);
        EncodedFact encoded{std::string(kKind<T>), out.public_json(), "", out.personal_json()};
        if (!encoded.personal_json.empty()) encoded.holder = holder_of(one);
        return encoded;
      },
      fact);
}

Result<Fact> decode(const EncodedFact& encoded) {
  KNOCK_ASSIGN(auto shown, parse_strict(encoded.public_json));
  KNOCK_ASSIGN(auto personal,
               parse_strict(encoded.personal_json.empty() ? "{}" : encoded.personal_json));
  Decoder in(shown, personal);
  return decode_as(encoded.kind, in);
}

std::string chain_text(const Record& record) {
  std::string out = "{\"actor\":";
  append_json_string(out, record.actor);
  out += ",\"at\":";
  append_json_string(out, exact_time(record.at));
  out += ",\"commitment\":";
  append_json_string(out, record.commitment);
  out += ",\"kind\":";
  append_json_string(out, record.fact.kind);
  out += ",\"public\":" + record.fact.public_json;
  out += ",\"seq\":" + std::to_string(record.seq) + "}";
  return out;
}

Digest chain_hash(const Record& record) {
  return sha256(std::string(as_bytes(record.prev)) + chain_text(record));
}

}  // namespace knock
