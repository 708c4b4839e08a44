// SPDX-License-Identifier: Apache-2.0
// CVE-2017-15361: keys made by some Infineon chips can be factored from the public half.
#pragma once

struct bignum_st;  // libcrypto's BIGNUM

namespace knock::sso {

/// True when the modulus is, for every small prime, a power of 65537: so it is for every key of
/// those chips, and for about one in 2^150 of others.
bool has_roca_fingerprint(const bignum_st* modulus);

}  // namespace knock::sso
