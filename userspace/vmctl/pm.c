// SPDX-License-Identifier: GPL-2.0-only
/* Power: ACPI PM1a and PM timer, and the ports that reset a PC. */
#include "pm.h"

#include <string.h>
#include <time.h>

#include "acpi.h"
#include "layout.h"

enum { PM1_STS, PM1_EN = 2, PM1_CNT = 4, PM_TMR = 8, PM_LEN = 12 };

#define CNT_SCI_EN	(1u << 0)
#define CNT_SLP_TYP(c)	((c) >> 10 & 7)
#define CNT_SLP_EN	(1u << 13)

#define I8042_RESET	0xfe	/* pulse the reset line */
#define RESET_CPU	0x04

static uint64_t monotonic_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static uint32_t timer_value(const struct pm *pm)
{
	unsigned __int128 ns = pm->now_ns() - pm->start_ns;

	return ns * PM_TIMER_HZ / 1000000000;
}

static uint32_t read_reg(struct pm *pm, uint64_t reg)
{
	switch (reg) {
	case PM1_STS:
		return pm->sts;
	case PM1_EN:
		return pm->en;
	case PM1_CNT:
		return pm->cnt | CNT_SCI_EN;
	case PM_TMR:
		return timer_value(pm);
	default:
		return 0;
	}
}

static void pm_read(void *dev, uint64_t off, uint8_t *data, unsigned int len)
{
	struct pm *pm = dev;
	uint64_t reg = off < PM_TMR ? off & ~1ULL : PM_TMR;
	unsigned int width = off < PM_TMR ? 2 : 4;
	uint64_t v;

	pthread_mutex_lock(&pm->lock);
	v = read_reg(pm, reg);
	/* PM1 status and enable are also read as one 32-bit block. */
	if (width == 2)
		v |= (uint64_t)read_reg(pm, reg + 2) << 16;
	pthread_mutex_unlock(&pm->lock);
	v >>= 8 * (off - reg);
	for (unsigned int i = 0; i < len; i++)
		data[i] = v >> (8 * i);
}

static void write_cnt(struct pm *pm, uint16_t v)
{
	pm->cnt = v & ~CNT_SLP_EN;
	if (v & CNT_SLP_EN && CNT_SLP_TYP(v) == ACPI_SLP_TYP_S5)
		pm->board->stop(pm->board->ctx, STOP_POWEROFF, 0);
}

static void write16(struct pm *pm, uint64_t reg, uint16_t v)
{
	switch (reg) {
	case PM1_STS:
		pm->sts &= ~v;	/* write one to clear */
		break;
	case PM1_EN:
		pm->en = v;
		break;
	case PM1_CNT:
		write_cnt(pm, v);
		break;
	}
}

static void pm_write(void *dev, uint64_t off, const uint8_t *data,
		     unsigned int len)
{
	struct pm *pm = dev;

	/* Registers are written whole, as the FADT's access sizes say. */
	if (off & 1)
		return;
	pthread_mutex_lock(&pm->lock);
	for (; len >= 2; off += 2, data += 2, len -= 2)
		write16(pm, off, data[0] | data[1] << 8);
	pthread_mutex_unlock(&pm->lock);
}

static void i8042_read(void *dev, uint64_t off, uint8_t *data,
		       unsigned int len)
{
	(void)dev;
	(void)off;
	(void)len;
	*data = 0;	/* buffers empty: ready for a command */
}

static void i8042_write(void *dev, uint64_t off, const uint8_t *data,
			unsigned int len)
{
	struct pm *pm = dev;

	(void)off;
	(void)len;
	if (*data == I8042_RESET)
		pm->board->stop(pm->board->ctx, STOP_RESET, 0);
}

static void reset_read(void *dev, uint64_t off, uint8_t *data,
		       unsigned int len)
{
	struct pm *pm = dev;

	(void)off;
	(void)len;
	pthread_mutex_lock(&pm->lock);
	*data = pm->reset;
	pthread_mutex_unlock(&pm->lock);
}

static void reset_write(void *dev, uint64_t off, const uint8_t *data,
			unsigned int len)
{
	struct pm *pm = dev;

	(void)off;
	(void)len;
	pthread_mutex_lock(&pm->lock);
	pm->reset = *data & ~RESET_CPU;
	pthread_mutex_unlock(&pm->lock);
	if (*data & RESET_CPU)
		pm->board->stop(pm->board->ctx, STOP_RESET, 0);
}

static void exit_read(void *dev, uint64_t off, uint8_t *data, unsigned int len)
{
	(void)dev;
	(void)off;
	memset(data, 0, len);
}

static void exit_write(void *dev, uint64_t off, const uint8_t *data,
		       unsigned int len)
{
	struct pm *pm = dev;
	uint32_t v = 0;

	(void)off;
	for (unsigned int i = 0; i < len; i++)
		v |= (uint32_t)data[i] << (8 * i);
	pm->board->stop(pm->board->ctx, STOP_PORT, v);
}

int pm_init(struct pm *pm, struct bus *pio, const struct board *board)
{
	const struct bus_region regions[] = {
		{ .base = PORT_PM, .len = PM_LEN, .width = 4,
		  .read = pm_read, .write = pm_write },
		{ .base = PORT_I8042, .len = 1, .width = 1,
		  .read = i8042_read, .write = i8042_write },
		{ .base = PORT_RESET, .len = 1, .width = 1,
		  .read = reset_read, .write = reset_write },
	};

	memset(pm, 0, sizeof(*pm));
	pthread_mutex_init(&pm->lock, NULL);
	pm->board = board;
	pm->now_ns = monotonic_ns;
	pm->start_ns = monotonic_ns();
	for (unsigned int i = 0; i < 3; i++) {
		struct bus_region r = regions[i];
		int rc;

		r.dev = pm;
		rc = bus_add(pio, &r);
		if (rc)
			return rc;
	}
	return 0;
}

int pm_exit_port(struct pm *pm, struct bus *pio, uint16_t port)
{
	const struct bus_region r = {
		.base = port, .len = 4, .width = 4, .dev = pm,
		.read = exit_read, .write = exit_write,
	};

	return bus_add(pio, &r);
}
