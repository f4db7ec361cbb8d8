/* SPDX-License-Identifier: GPL-2.0-only */
/* A driver's side of PCI and virtio, for the tests. */
#ifndef DRIVER_H
#define DRIVER_H

#include <string.h>

#include "bus.h"
#include "layout.h"
#include "memory.h"
#include "util.h"
#include "virtio_balloon.h"
#include "virtio_pci.h"

/* Registers of the BAR and of its common structure, as capabilities give them. */
#define COMMON		0x0000
#define ISR		0x1000
#define CONFIG		0x2000
#define NOTIFY		0x3000

#define RING_SIZE	16
/* Where queue Q's parts lie in guest memory, and its data. */
#define RING(q)		(0x100000ULL + (q) * 0x10000ULL)
#define RING_DESC(q)	RING(q)
#define RING_AVAIL(q)	(RING(q) + 0x1000)
#define RING_USED(q)	(RING(q) + 0x2000)
#define RING_DATA(q)	(RING(q) + 0x4000)

enum { D_NEXT = 1, D_WRITE = 2, D_INDIRECT = 4 };

static struct bus pio, mmio;
static struct pci pci;
static struct guest_mem mem;
static struct virtio_balloon balloon;
static struct virtio_pci vp;
static uint16_t avail_idx[VIRTIO_QUEUES];

static struct {
	int level[4];
	unsigned int msi, wakes;
	uint64_t msi_addr;
	uint32_t msi_data;
} seen;

static void set_irq(void *ctx, unsigned int gsi, int level)
{
	(void)ctx;
	if (gsi >= IRQ_PCI && gsi < IRQ_PCI + 4)
		seen.level[gsi - IRQ_PCI] = level;
}

static void signal_msi(void *ctx, uint64_t addr, uint32_t data)
{
	(void)ctx;
	seen.msi++;
	seen.msi_addr = addr;
	seen.msi_data = data;
}

static void wake(void *ctx)
{
	(void)ctx;
	seen.wakes++;
}

static const struct board board = {
	.set_irq = set_irq, .signal_msi = signal_msi,
};

static inline uint32_t in(uint16_t port, unsigned int size)
{
	uint8_t d[4] = { 0 };

	bus_read(&pio, port, d, size);
	return get_le32(d);
}

static inline void out(uint16_t port, uint32_t v, unsigned int size)
{
	uint8_t d[4];

	put_le32(d, v);
	bus_write(&pio, port, d, size);
}

static inline uint32_t cfg_in(unsigned int slot, unsigned int reg,
			      unsigned int size)
{
	out(0xcf8, 0x80000000 | slot << 11 | (reg & 0xfc), 4);
	return in(0xcfc + (reg & 3), size);
}

static inline void cfg_out(unsigned int slot, unsigned int reg, uint32_t v,
			   unsigned int size)
{
	out(0xcf8, 0x80000000 | slot << 11 | (reg & 0xfc), 4);
	out(0xcfc + (reg & 3), v, size);
}

static inline uint64_t mem_in(uint64_t addr, unsigned int size)
{
	uint8_t d[8] = { 0 };

	bus_read(&mmio, addr, d, size);
	return get_le64(d);
}

static inline void mem_out(uint64_t addr, uint64_t v, unsigned int size)
{
	uint8_t d[8];

	put_le64(d, v);
	bus_write(&mmio, addr, d, size);
}

static inline uint64_t bar(unsigned int n)
{
	return cfg_in(1, 0x10 + 4 * n, 4) & ~0xfULL;
}

static inline uint8_t *ram(uint64_t gpa)
{
	return guest_mem_ptr(&mem, gpa, 1);
}

static inline void set_desc(unsigned int q, unsigned int i, uint64_t addr,
			    uint32_t len, uint16_t flags, uint16_t next)
{
	uint8_t *d = ram(RING_DESC(q) + 16 * i);

	put_le64(d, addr);
	put_le32(d + 8, len);
	put_le16(d + 12, flags);
	put_le16(d + 14, next);
}

/* Make @head available and notify. */
static inline void send(unsigned int q, uint16_t head)
{
	uint8_t *a = ram(RING_AVAIL(q));

	put_le16(a + 4 + avail_idx[q] % RING_SIZE * 2, head);
	put_le16(a + 2, ++avail_idx[q]);
	mem_out(bar(0) + NOTIFY + 4 * q, q, 2);
	virtio_balloon_work(&balloon);
}

static inline uint16_t used_idx(unsigned int q)
{
	return get_le16(ram(RING_USED(q) + 2));
}

static inline void setup_queue(unsigned int q)
{
	uint64_t regs = bar(0) + COMMON;

	memset(ram(RING(q)), 0, 0x10000);
	avail_idx[q] = 0;
	mem_out(regs + 0x16, q, 2);
	mem_out(regs + 0x18, RING_SIZE, 2);
	mem_out(regs + 0x1a, q + 1, 2);
	mem_out(regs + 0x20, RING_DESC(q), 4);
	mem_out(regs + 0x24, 0, 4);
	mem_out(regs + 0x28, RING_AVAIL(q), 8);
	mem_out(regs + 0x30, RING_USED(q), 4);
	mem_out(regs + 0x34, 0, 4);
	mem_out(regs + 0x1c, 1, 2);
}

static inline uint8_t dev_status(void)
{
	return mem_in(bar(0) + COMMON + 0x14, 1);
}

static inline void set_dev_status(uint8_t v)
{
	mem_out(bar(0) + COMMON + 0x14, v, 1);
}

static inline void set_features(uint64_t f)
{
	uint64_t regs = bar(0) + COMMON;

	mem_out(regs + 0x08, 0, 4);
	mem_out(regs + 0x0c, f, 4);
	mem_out(regs + 0x08, 1, 4);
	mem_out(regs + 0x0c, f >> 32, 4);
}

/* From reset to DRIVER_OK, with @features and VERSION_1. */
static inline void start(uint64_t features)
{
	set_dev_status(0);
	set_dev_status(1);
	set_dev_status(3);
	set_features(features | 1ULL << 32);
	set_dev_status(11);
	mem_out(bar(0) + COMMON + 0x10, 0, 2);
	for (unsigned int q = 0; q < 5; q++)
		setup_queue(q);
	set_dev_status(15);
}

static inline int machine(void)
{
	int rc = guest_mem_create(&mem, 16 * MIB, MEM_ANON);

	rc = rc ?: pci_init(&pci, &pio, &mmio, &board);
	rc = rc ?: virtio_balloon_init(&balloon, &mem, wake, NULL);
	return rc ?: virtio_pci_init(&vp, &balloon.dev, &pci, 0xff0000);
}

#endif
