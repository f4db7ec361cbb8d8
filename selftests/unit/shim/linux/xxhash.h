/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's xxh64() is libxxhash's in userspace */
#ifndef _EMYS_SHIM_XXHASH_H
#define _EMYS_SHIM_XXHASH_H

#include <xxhash.h>

#define xxh64(data, len, seed)	XXH64(data, len, seed)

#endif
