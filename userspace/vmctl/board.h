/* SPDX-License-Identifier: GPL-2.0-only */
/* The board: what a device may ask of the machine it sits in. */
#ifndef BOARD_H
#define BOARD_H

#include <stdint.h>

enum stop_reason {
	STOP_NONE,
	STOP_POWEROFF,		/* ACPI S5 */
	STOP_RESET,		/* keyboard controller, 0xcf9, or system event */
	STOP_CRASH,		/* system event: guest crashed */
	STOP_TRIPLE,		/* KVM_EXIT_SHUTDOWN */
	STOP_INTERNAL,		/* KVM_RUN failed or gave an internal error */
	STOP_ENTRY,		/* KVM_EXIT_FAIL_ENTRY */
	STOP_TIMEOUT,
	STOP_REQUEST,		/* signal, key sequence or control socket */
	STOP_PORT,		/* write to the exit port */
};

/*
 * Called from vCPU threads and from the main thread, with or without the
 * device's own lock held; no callback calls back into a device.
 */
struct board {
	void *ctx;
	void (*set_irq)(void *ctx, unsigned int gsi, int level);
	void (*signal_msi)(void *ctx, uint64_t addr, uint32_t data);
	void (*stop)(void *ctx, enum stop_reason reason, unsigned int code);
};

#endif
