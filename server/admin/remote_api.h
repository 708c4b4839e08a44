// SPDX-License-Identifier: Apache-2.0
// The API for machines beyond this one: what front handed over, judged and answered by core. The
// token is judged first, on the calling thread and from memory; only who holds a good one costs
// more, and waits in a short queue. Nothing here prints or keeps a token.
#pragma once

#include <functional>

#include "schemas/role/front.h"
#include "server/admin/admin_api.h"
#include "server/admin/workers.h"

namespace knock {

class RemoteApi {
 public:
  static constexpr std::size_t kMostWaiting = 16;

  using Answer = std::function<void(role::ToFront)>;
  RemoteApi(AdminApi& api, KeyRing& keys, std::size_t threads = 2);
  ~RemoteApi();
  /// Any thread; `answer` is called once, on any thread.
  void handle(role::ApiCall call, Answer answer);

 private:
  role::ApiAnswer compute(role::ApiCall call, KeyHolder holder);

  AdminApi& api_;
  KeyRing& keys_;
  Workers workers_;  // last
};

}  // namespace knock
