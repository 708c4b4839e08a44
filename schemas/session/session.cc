// SPDX-License-Identifier: Apache-2.0
#include "schemas/session/session.h"
