// SPDX-License-Identifier: Apache-2.0
// Log lines on standard error: for people on a terminal, JSON otherwise. Set once, in main's
// thread.
#pragma once

namespace knock::cli {

/// `verbose` shows debug lines too.
void start_logging(bool verbose);

}  // namespace knock::cli
