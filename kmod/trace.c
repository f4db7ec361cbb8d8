// SPDX-License-Identifier: GPL-2.0-only
/* The tracepoints' code, made by the headers */

#include <linux/types.h>

#define CREATE_TRACE_POINTS
#include "trace.h"
