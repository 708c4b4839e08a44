// SPDX-License-Identifier: Apache-2.0
// Files of this tree inside the executable, put there when it is built (embed_text.cmake).
#pragma once

#include <string_view>

namespace knock::cli {

extern const std::string_view kPolicySchema;  // schemas/policy/policy.v1.schema.json
extern const std::string_view kConfigSchema;  // schemas/config/config.v1.schema.json
extern const std::string_view kGithubJob;     // examples/ci/github.yml
extern const std::string_view kGitlabJob;     // examples/ci/gitlab.yml

}  // namespace knock::cli
