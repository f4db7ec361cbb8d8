/* SPDX-License-Identifier: GPL-2.0-only */
/* A bus: address ranges and the devices behind them (port I/O, MMIO). */
#ifndef BUS_H
#define BUS_H

#include <stdbool.h>
#include <stdint.h>

struct bus_region {
	uint64_t base;
	uint64_t len;
	unsigned int width;	/* widest access the device takes, in bytes */
	bool whole;		/* takes accesses to all of it at once only */
	void *dev;
	void (*read)(void *dev, uint64_t off, uint8_t *data, unsigned int len);
	void (*write)(void *dev, uint64_t off, const uint8_t *data,
		      unsigned int len);
};

#define BUS_REGIONS 16

/* Filled before the first vCPU runs, then read-only: no lock. */
struct bus {
	struct bus_region region[BUS_REGIONS];
	unsigned int nr;
};

/*
 * 0, -ENOSPC, or -EBUSY when the range overlaps another. One that takes whole
 * accesses only may overlap others, and those get all accesses but these.
 */
int bus_add(struct bus *bus, const struct bus_region *r);

/*
 * An access of any length; one wider than a device takes is cut into pieces.
 * What nothing answers reads as all ones, and writes to it are dropped.
 */
void bus_read(const struct bus *bus, uint64_t addr, uint8_t *data,
	      unsigned int len);
void bus_write(const struct bus *bus, uint64_t addr, const uint8_t *data,
	       unsigned int len);

#endif
