// SPDX-License-Identifier: Apache-2.0
// What a request says, by its query and its JSON body, read strictly: what is not of the asked kind
// is an error that names it. Internal to server/admin.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/http_server.h"
#include "schemas/policy/load.h"
#include "schemas/session/codec.h"

namespace boost::json {
class object;
class value;
}  // namespace boost::json

namespace knock {

class Arguments {
 public:
  static Result<Arguments> of(const net::HttpRequest& request);

  bool has(std::string_view name) const;
  Result<std::string> text(std::string_view name);
  Result<std::string> text_or(std::string_view name, std::string otherwise);
  Result<std::vector<std::string>> texts(std::string_view name);
  Result<bool> boolean_or(std::string_view name, bool otherwise);
  Result<std::uint64_t> number_or(std::string_view name, std::uint64_t otherwise);
  /// [{path, content}], as a policy source would have read it.
  Result<std::vector<PolicyFile>> files(std::string_view name);
  /// `sessions` and `approvals`, as a sessions file has them; by the reader of those files.
  Result<SessionsDocument> sessions();

 private:
  Arguments();
  boost::json::value* take(std::string_view name);
  std::shared_ptr<boost::json::object> object_;
};

}  // namespace knock
