/* SPDX-License-Identifier: GPL-2.0-only */
/* stats: the binary statistics of KVM_GET_STATS_FD. */
#ifndef _STATS_H
#define _STATS_H

#include "vmm.h"

struct stats {
	int fd;
	struct kvm_stats_header head;
	u8 *desc;
};

/* Of the VM or vCPU whose descriptor @on is. Skips the case where there are none. */
struct stats stats_open(int on);
void stats_close(struct stats *s);
struct kvm_stats_desc *stats_desc(struct stats *s, u32 i);
/* The case fails when there is none of that name. */
u64 stats_read(struct stats *s, const char *name);

#endif
