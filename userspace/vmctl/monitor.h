/* SPDX-License-Identifier: GPL-2.0-only */
/* The main thread while the VM runs: console, signals, requests, time. */
#ifndef MONITOR_H
#define MONITOR_H

#include "ctl.h"
#include "follow.h"
#include "vm.h"

/*
 * Block the signals that stop the VM, and install the vCPU kick. Before any
 * thread starts. The signalfd, or a negative errno.
 */
int monitor_signals(void);

/* Serve the VM until it is to stop. */
void monitor_run(struct vm *vm, struct ctl *ctl, struct follow *follow,
		 int signal_fd);

#endif
