// SPDX-License-Identifier: Apache-2.0
// The simulator's target, for tests of the core.
#pragma once

#include "simulation/model_target.h"

namespace knock::test {

using knock::ModelElement;
using knock::ModelSlot;
using knock::ModelTarget;

}  // namespace knock::test
