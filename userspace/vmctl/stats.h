/* SPDX-License-Identifier: GPL-2.0-only */
/* Kernel counters: the KVM ABI's binary statistics of a VM or vCPU. */
#ifndef STATS_H
#define STATS_H

#include <jansson.h>

/* Statistics descriptor of a VM or vCPU @fd, or -1 if there are none. */
int stats_open(int dev_fd, int fd);

/*
 * One object: counter name to value, histograms as arrays. Never NULL unless
 * memory is short; empty when @fd is -1 or cannot be read.
 */
json_t *stats_read(int fd);

#endif
