// SPDX-License-Identifier: Apache-2.0
#include "schemas/role/verifier.h"
