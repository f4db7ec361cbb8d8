/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's memory functions are libc's in userspace */
#ifndef _EMYS_SHIM_STRING_H
#define _EMYS_SHIM_STRING_H

#include <string.h>

#endif
