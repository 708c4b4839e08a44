// SPDX-License-Identifier: Apache-2.0
#include "schemas/policy/policy.h"
