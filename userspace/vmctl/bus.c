// SPDX-License-Identifier: GPL-2.0-only
/* A bus: address ranges and the devices behind them (port I/O, MMIO). */
#include "bus.h"

#include <errno.h>
#include <stddef.h>

int bus_add(struct bus *bus, const struct bus_region *r)
{
	if (bus->nr == BUS_REGIONS)
		return -ENOSPC;
	for (unsigned int i = 0; i < bus->nr; i++) {
		const struct bus_region *o = &bus->region[i];

		if (r->whole == o->whole && r->base < o->base + o->len &&
		    o->base < r->base + r->len)
			return -EBUSY;
	}
	bus->region[bus->nr++] = *r;
	return 0;
}

static const struct bus_region *bus_find(const struct bus *bus, uint64_t addr,
					 unsigned int len)
{
	const struct bus_region *part = NULL;

	for (unsigned int i = 0; i < bus->nr; i++) {
		const struct bus_region *r = &bus->region[i];

		if (r->whole && addr == r->base && len == r->len)
			return r;
		if (!r->whole && addr - r->base < r->len)
			part = r;
	}
	return part;
}

/* The part of an access that @r takes at once. */
static unsigned int piece(const struct bus_region *r, uint64_t off,
			  unsigned int len)
{
	if (len > r->width)
		len = r->width;
	if (len > r->len - off)
		len = r->len - off;
	return len;
}

void bus_read(const struct bus *bus, uint64_t addr, uint8_t *data,
	      unsigned int len)
{
	while (len) {
		const struct bus_region *r = bus_find(bus, addr, len);
		unsigned int n = 1;

		*data = 0xff;
		if (r) {
			n = piece(r, addr - r->base, len);
			for (unsigned int i = 1; i < n; i++)
				data[i] = 0xff;
			r->read(r->dev, addr - r->base, data, n);
		}
		addr += n;
		data += n;
		len -= n;
	}
}

void bus_write(const struct bus *bus, uint64_t addr, const uint8_t *data,
	       unsigned int len)
{
	while (len) {
		const struct bus_region *r = bus_find(bus, addr, len);
		unsigned int n = 1;

		if (r) {
			n = piece(r, addr - r->base, len);
			r->write(r->dev, addr - r->base, data, n);
		}
		addr += n;
		data += n;
		len -= n;
	}
}
