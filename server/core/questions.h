// SPDX-License-Identifier: Apache-2.0
// What people ask afterwards: why somebody can reach something, whose an entry on a firewall is, and
// who could reach a service at a time or between two. What was applied is answered from the log
// alone. What was intended needs the policy of that time, which its source may still have; where it
// has not, the answer says so. Reads only, and works without a controller.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "reconciler/core/explain.h"
#include "reconciler/core/marker.h"
#include "reconciler/interfaces/fact_store.h"
#include "reconciler/interfaces/policy_source.h"
#include "schemas/config/config.h"

namespace knock {

struct QuestionParts {
  const FactStore& store;
  const Config& config;
  Instant now;
  std::shared_ptr<const Policy> policy;  // in force; null: none
  std::vector<Session> live;
  std::shared_ptr<const ZoneSource> zones;
  /// Opens the policy's source once more, for older revisions and for who wrote a line; may be empty.
  std::function<Result<std::unique_ptr<PolicySource>>()> history;
};

/// Who a rule comes from. Texts are raw, from outside.
struct RuleAuthor {
  /// lines: of the last change of the rule's own lines. commit: of the commit that came into force,
  /// because its source cannot tell lines apart. none: not even that is known.
  enum class Known : std::uint8_t { lines, commit, none };
  Known known = Known::none;
  std::string author, subject;
  PolicyRevision commit;
  std::optional<Instant> at;
  std::string problem;  // why no more is known; "" when known == lines
};

struct Why {
  std::optional<Session> session;  // nothing: a static entry
  Explanation explanation;
  PolicyRevision policy;                 // that explains it
  std::vector<AppliedInterval> entries;  // that it had on targets then, for the service
  std::optional<RuleAuthor> author;      // of the rule that gives it, lacks least, or denies it
};

struct WhyAnswer {
  Instant at;
  bool past = false;
  std::string who, what;
  std::vector<Why> answers;  // newest sign-ins first
  std::string missing;       // with no answer at all: the first missing condition
  std::string smallest_change;
  std::vector<std::string> notes;
  bool allowed() const;
};

/// A cause of an entry, with what the log and policy know of it.
struct MarkedCause {
  Attribution cause;
  std::optional<Session> session;
  std::optional<Explanation> fixed;  // of a static entry, while its policy is at hand
  SourceRange origin;                // of the rule; line 0: its policy is not at hand
  std::optional<RuleAuthor> author;
};

struct MarkAnswer {
  enum class Kind : std::uint8_t {
    stands,   // one of ours, and it stands
    gone,     // one of ours, and it stands no more
    orphan,   // our owner's mark, and the log knows of no such entry
    foreign,  // another installation's
    unknown,  // of another version, or damaged
  };
  Kind kind = Kind::unknown;
  std::optional<Marker> mark;
  std::string sentence;                // what is to be said of it; never empty
  std::vector<AppliedInterval> times;  // every time it stood, in order
  std::vector<MarkedCause> causes;     // of the last of them
};

/// One cause of one entry, intended or applied or both.
struct WhoRow {
  Attribution cause;
  std::string key;  // "subject@issuer"; "" for static entries and sessions the log does not know
  std::optional<IpAddress> address;
  SignInName source;
  TargetName target;
  Prefix prefix;
  PolicyRevision policy;
  SourceRange origin;            // of the rule; line 0: its policy is not at hand
  std::optional<bool> intended;  // nothing: not known
  std::optional<bool> applied;   // nothing: the target has not answered
  Instant from, till;            // till: when it ended or is to end
  std::optional<Instant> ended;
  std::optional<Reason> reason;
};

struct WhoAnswer {
  ServiceName service;
  Instant from;
  std::optional<Instant> to;  // of a range; else `from` is the time
  bool past = false;
  std::optional<Adoption> policy;  // in force then
  std::optional<Instant> log_begins;
  bool complete = true;                  // the log reaches back so far
  std::vector<AppliedInterval> entries;  // what stood, as the log has it
  std::vector<WhoRow> rows;
  std::vector<std::string> notes;
};

/// One use, one thread.
class Questions {
 public:
  explicit Questions(QuestionParts parts) : in_(std::move(parts)) {}

  /// `who`: a name, subject, subject@issuer or address. `what`: a service or a target.
  Result<WhyAnswer> why(const std::string& who, const std::string& what,
                        std::optional<Instant> at = std::nullopt);
  /// `text`: as it stands on a target, perhaps with quotes around it.
  Result<MarkAnswer> mark(const std::string& text);
  Result<WhoAnswer> who(const ServiceName& service, std::optional<Instant> at = std::nullopt);
  /// What was applied at some time from `from` until before `to`.
  Result<WhoAnswer> who_between(const ServiceName& service, Instant from, Instant to);

  /// True for what mark() reads.
  static bool is_mark(const std::string& text);

 private:
  using PolicyOrWhyNot = Result<std::shared_ptr<const Policy>>;

  const PolicyOrWhyNot& policy_of(const PolicyRevision& revision);
  PolicySource* source();
  RuleAuthor author_of(const PolicyRevision& revision, const SourceRange& origin);
  std::optional<RuleAuthor> author_of_lines(const PolicyRevision& revision,
                                            const SourceRange& origin, std::string& problem);
  std::optional<SourceRange> origin_of(const PolicyRevision& revision, const Attribution& cause);
  Result<std::optional<Session>> session_of(const SessionId& id);
  Status not_ahead(Instant at) const;

  Result<WhyAnswer> why_by_policy(WhyAnswer answer, const Policy& policy,
                                  std::vector<Session> sessions);
  Result<WhyAnswer> why_by_log(WhyAnswer answer, const PolicyRevision& revision,
                               const std::string& problem);
  Result<std::vector<Why>> static_answers(const WhyAnswer& answer, const Policy& policy,
                                          const std::vector<ServiceName>& services,
                                          const std::vector<Session>& sessions);
  Status say_nobody(const Policy& policy, const std::vector<ServiceName>& services,
                    WhyAnswer& answer);
  Status add_entries(const Policy& policy, Why& row, Instant at);
  Result<std::vector<Session>> candidates(const std::string& who, Instant at,
                                          const std::vector<Session>& live);

  Result<WhoAnswer> begin_who(const ServiceName& service, Instant from, std::optional<Instant> to);
  Status add_applied(WhoAnswer& answer, std::vector<AppliedInterval> intervals);
  Status add_intended(WhoAnswer& answer, const Policy& policy, const std::vector<Session>& sessions,
                      Instant at);
  Status mark_unanswered(WhoAnswer& answer);
  void add_standing(WhoAnswer& answer, const Policy* policy) const;
  void finish_who(WhoAnswer& answer) const;

  QuestionParts in_;
  std::map<PolicyRevision, PolicyOrWhyNot> policies_;
  std::map<std::pair<PolicyRevision, SourceRange>, RuleAuthor> authors_;
  std::map<SessionId, std::optional<Session>> sessions_;
  std::optional<Result<std::unique_ptr<PolicySource>>> source_;
};

/// First and last line of an element whose name stands in this line: everything that is indented
/// deeper than it.
struct LineRange {
  std::uint32_t first = 0, last = 0;
};
LineRange lines_of(std::string_view content, std::uint32_t line);

}  // namespace knock
