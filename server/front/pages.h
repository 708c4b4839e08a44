// SPDX-License-Identifier: Apache-2.0
// The portal's pages as pure functions of what is shown. Every name in them may come from outside.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "schemas/role/front.h"

namespace knock::server {

struct SignInView {
  std::vector<role::SignInChoice> choices;
  std::string form;                  // token for the forms and links on the page
  std::optional<IpAddress> address;  // what would be opened
  std::string user;                  // typed before, when an attempt was refused
  std::string problem;               // sentence to show on top; "" = none
};
std::string sign_in_page(const SignInView& view);

/// `here`: the address this request came from; the page warns when it is not what is open.
std::string me_page(const role::Me& me, const IpAddress& here);

/// One thing to say, its stable code, and a way back.
std::string message_page(std::string_view title, std::string_view sentence, std::string_view code);

enum class ServiceState { open, opening, closed };
ServiceState state_of(const role::MyService& service);

}  // namespace knock::server
