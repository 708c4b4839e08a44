// SPDX-License-Identifier: Apache-2.0
// Tells webhooks and the forge what happens, as `notify:` of knock.yaml says (docs/notifications.md).
// It looks at the controller from beside: nothing that is enforced ever waits for it or knows of it.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/random.h"
#include "base/secret.h"
#include "reconciler/interfaces/fact_store.h"
#include "reconciler/loop/status.h"
#include "schemas/config/notify.h"
#include "server/notify/message.h"
#include "server/notify/outbox.h"
#include "server/notify/plan_comments.h"
#include "server/notify/watch.h"

namespace knock::notify {

/// All of it outlives the notifier.
struct NotifierParts {
  const NotifySettings& settings;
  OwnerId owner;
  std::string controller_url;
  const FactStore& store;
  Random& random;
  std::function<ControllerStatus()> status;
  std::function<Result<Secret>(const SecretReference&)> secret;
  Outbox::Done done;
  std::chrono::milliseconds every{1000}, first_pause{1000};
};

class Notifier {
 public:
  explicit Notifier(NotifierParts parts);
  ~Notifier();
  /// Looks every now and then until this dies.
  void start();
  /// Looks now. Not while started.
  void look();
  void tell(const Notice& notice);
  /// Any thread, at once. The same plan of the same commit is posted once, unless it did not arrive.
  /// `then`: whether all of it arrived, or had before; on any thread, and not when the notifier ends
  /// first.
  void planned(const PlannedChange& change, Outbox::Then then = {});
  /// For log and metrics; "" without one.
  std::string forge_name() const { return forge_ ? forge_->name() : ""; }

 private:
  void set_status(const CommitStatus& status, const Outbox::Then& then = {});
  void write_comment(const PlannedChange& change, const Outbox::Then& then);
  bool is_news(const std::string& about, const std::string& said);
  /// What was said may be said again when it did not arrive.
  Outbox::Then unless_lost(const std::string& about, const std::string& said, Outbox::Then then);

  NotifierParts parts_;
  Watch watch_;
  std::uint64_t seen_ = 0;  // of the log
  std::vector<std::unique_ptr<Outbox>> hooks_;
  std::mutex mutex_;
  std::map<std::string, std::string> said_;  // of a commit or a pull request, last
  std::unique_ptr<PlanComments> comments_;   // of the forge's thread
  std::unique_ptr<Outbox> forge_;            // after what its messages use
  std::condition_variable_any never_;
  std::jthread thread_;  // last
};

}  // namespace knock::notify
