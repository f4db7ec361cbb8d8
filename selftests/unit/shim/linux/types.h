/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's integer types for pure files built in userspace */
#ifndef _EMYS_SHIM_TYPES_H
#define _EMYS_SHIM_TYPES_H

#include_next <linux/types.h>

#include <stdbool.h>
#include <stddef.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef unsigned long long u64;
typedef __s8 s8;
typedef __s16 s16;
typedef __s32 s32;
typedef long long s64;
typedef unsigned long pgoff_t;

#endif
