// SPDX-License-Identifier: Apache-2.0
// Metrics in the text format of Prometheus, at GET /metrics of the admin socket. Names are promises
// (docs/cli.md).
#pragma once

#include <memory>
#include <string>

#include "reconciler/loop/meter.h"
#include "reconciler/loop/status.h"

namespace knock {

class Metrics final : public Meter {
 public:
  Metrics();
  ~Metrics() override;
  void granted(const TargetName& target, double seconds) override;
  void revoked(const TargetName& target, double seconds) override;
  void expired(double seconds) override;
  void surged(const TargetName& target) override;
  /// Somebody was told what happened, or could not be. Any thread.
  void notified(const std::string& destination, bool arrived);

  /// Gauges are set from the status, then everything is written.
  std::string text(const ControllerStatus& status);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace knock
