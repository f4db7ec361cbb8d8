/* SPDX-License-Identifier: GPL-2.0-only */
/* Power: ACPI PM1a and PM timer, and the ports that reset a PC. */
#ifndef PM_H
#define PM_H

#include <pthread.h>
#include <stdint.h>

#include "board.h"
#include "bus.h"

#define PM_TIMER_HZ 3579545

struct pm {
	pthread_mutex_t lock;	/* covers the registers below */
	const struct board *board;
	uint16_t sts, en, cnt;
	uint8_t reset;		/* last value written to 0xcf9 */
	uint64_t start_ns;
	uint64_t (*now_ns)(void);
};

/* 0 or bus_add()'s errno. */
int pm_init(struct pm *pm, struct bus *pio, const struct board *board);

/* Stops the VM with STOP_PORT and the value when it is written to @port. */
int pm_exit_port(struct pm *pm, struct bus *pio, uint16_t port);

#endif
