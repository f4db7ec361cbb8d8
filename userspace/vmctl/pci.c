// SPDX-License-Identifier: GPL-2.0-only
/* PCI: bus 0 behind a host bridge, by configuration mechanism #1. */
#include "pci.h"

#include <errno.h>
#include <string.h>

#include "layout.h"
#include "util.h"

/* Configuration space header, type 0. */
enum {
	CFG_VENDOR = 0x00,
	CFG_DEVICE = 0x02,
	CFG_COMMAND = 0x04,
	CFG_STATUS = 0x06,
	CFG_REVISION = 0x08,
	CFG_CLASS = 0x09,
	CFG_CACHE_LINE = 0x0c,
	CFG_BAR0 = 0x10,
	CFG_SUBSYSTEM_VENDOR = 0x2c,
	CFG_SUBSYSTEM = 0x2e,
	CFG_CAPABILITIES = 0x34,
	CFG_INTERRUPT_LINE = 0x3c,
	CFG_INTERRUPT_PIN = 0x3d,
	CFG_FIRST_CAP = 0x40,
};

#define COMMAND_MEMORY		(1u << 1)
#define COMMAND_MASTER		(1u << 2)
#define COMMAND_INTX_OFF	(1u << 10)
#define STATUS_INTERRUPT	(1u << 3)
#define STATUS_CAPABILITIES	(1u << 4)

#define CAP_MSIX		0x11
#define MSIX_CONTROL		2
#define MSIX_ENABLE		(1u << 15)
#define MSIX_MASK_ALL		(1u << 14)
#define MSIX_BAR_LEN		4096
#define MSIX_PBA		(MSIX_BAR_LEN / 2)
#define MSIX_ENTRY		16
#define MSIX_ENTRY_CONTROL	12
#define MSIX_ENTRY_MASKED	1u

#define ADDRESS_ENABLE		(1u << 31)
#define ADDRESS_BITS		0x80fffffcu

static bool msix_on(const struct pci_dev *dev)
{
	return dev->msix.nr && get_le16(dev->cfg + dev->msix.cap +
					MSIX_CONTROL) & MSIX_ENABLE;
}

/* What of the device's INTx reaches the interrupt controller. */
static void intx_update(struct pci_dev *dev)
{
	struct pci *pci = dev->pci;
	unsigned int gsi = pci_gsi(dev->slot, 0, 0);
	bool out = dev->intx && !msix_on(dev) &&
		   !(get_le16(dev->cfg + CFG_COMMAND) & COMMAND_INTX_OFF);

	if (dev->intx)
		dev->cfg[CFG_STATUS] |= STATUS_INTERRUPT;
	else
		dev->cfg[CFG_STATUS] &= ~STATUS_INTERRUPT;
	if (out == dev->intx_out)
		return;
	dev->intx_out = out;
	/* The line is shared: it falls with the last who asks. */
	if (out ? !pci->asserted[gsi]++ : !--pci->asserted[gsi])
		pci->board->set_irq(pci->board->ctx, IRQ_PCI + gsi, out);
}

/* Send what is pending and no longer held back. */
static void msix_update(struct pci_dev *dev)
{
	struct pci_msix *m = &dev->msix;
	const struct board *board = dev->pci->board;

	if (!msix_on(dev) || !m->pending ||
	    get_le16(dev->cfg + m->cap + MSIX_CONTROL) & MSIX_MASK_ALL ||
	    !(dev->cfg[CFG_COMMAND] & COMMAND_MASTER))
		return;
	for (unsigned int i = 0; i < m->nr; i++) {
		const uint8_t *e = m->table + i * MSIX_ENTRY;

		if (!(m->pending & 1ULL << i) ||
		    e[MSIX_ENTRY_CONTROL] & MSIX_ENTRY_MASKED)
			continue;
		m->pending &= ~(1ULL << i);
		board->signal_msi(board->ctx, get_le64(e), get_le32(e + 8));
	}
}

bool pci_msix_enabled(struct pci_dev *dev)
{
	bool on;

	pthread_mutex_lock(&dev->pci->lock);
	on = msix_on(dev);
	pthread_mutex_unlock(&dev->pci->lock);
	return on;
}

void pci_msix_fire(struct pci_dev *dev, unsigned int vector)
{
	pthread_mutex_lock(&dev->pci->lock);
	if (vector < dev->msix.nr && msix_on(dev)) {
		dev->msix.pending |= 1ULL << vector;
		msix_update(dev);
	}
	pthread_mutex_unlock(&dev->pci->lock);
}

void pci_intx(struct pci_dev *dev, bool on)
{
	pthread_mutex_lock(&dev->pci->lock);
	dev->intx = on;
	intx_update(dev);
	pthread_mutex_unlock(&dev->pci->lock);
}

/* Table and PBA take naturally aligned accesses of four and eight bytes. */
static bool msix_access_ok(uint64_t off, unsigned int len)
{
	return (len == 4 || len == 8) && off % len == 0;
}

static void msix_read(struct pci_dev *dev, uint64_t off, uint8_t *data,
		      unsigned int len)
{
	const struct pci_msix *m = &dev->msix;
	uint8_t pba[8];

	memset(data, 0, len);
	if (!msix_access_ok(off, len))
		return;
	pthread_mutex_lock(&dev->pci->lock);
	put_le64(pba, m->pending);
	if (off + len <= m->nr * MSIX_ENTRY)
		memcpy(data, m->table + off, len);
	else if (off >= MSIX_PBA && off + len <= MSIX_PBA + sizeof(pba))
		memcpy(data, pba + (off - MSIX_PBA), len);
	pthread_mutex_unlock(&dev->pci->lock);
}

static void msix_write(struct pci_dev *dev, uint64_t off, const uint8_t *data,
		       unsigned int len)
{
	struct pci_msix *m = &dev->msix;

	if (!msix_access_ok(off, len) || off + len > m->nr * MSIX_ENTRY)
		return;
	pthread_mutex_lock(&dev->pci->lock);
	memcpy(m->table + off, data, len);
	msix_update(dev);
	pthread_mutex_unlock(&dev->pci->lock);
}

static void bar_read(struct pci_dev *dev, unsigned int bar, uint64_t off,
		     uint8_t *data, unsigned int len)
{
	if (dev->msix.nr && bar == dev->msix.bar)
		msix_read(dev, off, data, len);
	else
		dev->ops->bar_read(dev, bar, off, data, len);
}

static void bar_write(struct pci_dev *dev, unsigned int bar, uint64_t off,
		      const uint8_t *data, unsigned int len)
{
	if (dev->msix.nr && bar == dev->msix.bar)
		msix_write(dev, off, data, len);
	else
		dev->ops->bar_write(dev, bar, off, data, len);
}

/* The device and BAR that decode [addr, addr + len), and the offset into it. */
static struct pci_dev *bar_find(struct pci *pci, uint64_t addr,
				unsigned int len, unsigned int *bar,
				uint64_t *off)
{
	struct pci_dev *hit = NULL;

	pthread_mutex_lock(&pci->lock);
	for (unsigned int s = 0; s < PCI_SLOTS && !hit; s++) {
		struct pci_dev *dev = pci->slot[s];

		if (!dev || !(dev->cfg[CFG_COMMAND] & COMMAND_MEMORY))
			continue;
		for (unsigned int b = 0; b < PCI_BARS && !hit; b++) {
			uint64_t base = get_le32(dev->cfg + CFG_BAR0 + 4 * b);

			if (!dev->bar_len[b] || addr < base ||
			    addr - base + len > dev->bar_len[b])
				continue;
			*bar = b;
			*off = addr - base;
			hit = dev;
		}
	}
	pthread_mutex_unlock(&pci->lock);
	return hit;
}

static void mmio_read(void *ctx, uint64_t off, uint8_t *data, unsigned int len)
{
	struct pci_dev *dev;
	unsigned int bar;

	memset(data, 0xff, len);
	dev = bar_find(ctx, LAYOUT_PCI_MMIO + off, len, &bar, &off);
	if (dev)
		bar_read(dev, bar, off, data, len);
}

static void mmio_write(void *ctx, uint64_t off, const uint8_t *data,
		       unsigned int len)
{
	struct pci_dev *dev;
	unsigned int bar;

	dev = bar_find(ctx, LAYOUT_PCI_MMIO + off, len, &bar, &off);
	if (dev)
		bar_write(dev, bar, off, data, len);
}

/*
 * What the window capability shows, read from its fields: the BAR access that
 * an access of its data field at @off stands for.
 */
static bool window_target(struct pci_dev *dev, unsigned int off,
			  unsigned int *bar, uint32_t *at, unsigned int *len)
{
	const uint8_t *cap = dev->cfg + dev->window;

	if (!dev->window || off < dev->window + 16 || off >= dev->window + 20)
		return false;
	pthread_mutex_lock(&dev->pci->lock);
	*bar = cap[4];
	*at = get_le32(cap + 8);
	*len = get_le32(cap + 12);
	pthread_mutex_unlock(&dev->pci->lock);
	return (*len == 1 || *len == 2 || *len == 4) && *at % *len == 0 &&
	       *bar < PCI_BARS && *at < dev->bar_len[*bar] &&
	       *len <= dev->bar_len[*bar] - *at;
}

/* @off and @len stay within a doubleword of configuration space. */
static void cfg_read(struct pci_dev *dev, unsigned int off, uint8_t *data,
		     unsigned int len)
{
	unsigned int bar, n;
	uint8_t value[4];
	uint32_t at;

	if (window_target(dev, off, &bar, &at, &n)) {
		bar_read(dev, bar, at, value, n);
		pthread_mutex_lock(&dev->pci->lock);
		memcpy(dev->cfg + dev->window + 16, value, n);
		pthread_mutex_unlock(&dev->pci->lock);
	}
	pthread_mutex_lock(&dev->pci->lock);
	memcpy(data, dev->cfg + off, len);
	pthread_mutex_unlock(&dev->pci->lock);
}

static void cfg_write(struct pci_dev *dev, unsigned int off,
		      const uint8_t *data, unsigned int len)
{
	unsigned int bar, n;
	uint8_t value[4];
	uint32_t at;

	pthread_mutex_lock(&dev->pci->lock);
	for (unsigned int i = 0; i < len; i++) {
		uint8_t mask = dev->wmask[off + i];

		dev->cfg[off + i] &= ~mask;
		dev->cfg[off + i] |= data[i] & mask;
	}
	/* The command register or MSI-X control may have changed. */
	intx_update(dev);
	msix_update(dev);
	if (dev->window)
		memcpy(value, dev->cfg + dev->window + 16, sizeof(value));
	pthread_mutex_unlock(&dev->pci->lock);
	if (window_target(dev, off, &bar, &at, &n))
		bar_write(dev, bar, at, value, n);
}

/* The function that the address register selects, and the register. */
static struct pci_dev *selected(struct pci *pci, unsigned int *reg)
{
	uint32_t address;

	pthread_mutex_lock(&pci->lock);
	address = pci->address;
	pthread_mutex_unlock(&pci->lock);
	*reg = address & 0xfc;
	/* Bus 0, function 0. */
	if (!(address & ADDRESS_ENABLE) || address & 0x00ff0700 ||
	    (address >> 11 & 0x1f) >= PCI_SLOTS)
		return NULL;
	return pci->slot[address >> 11 & 0x1f];
}

static void address_read(void *ctx, uint64_t off, uint8_t *data,
			 unsigned int len)
{
	struct pci *pci = ctx;

	(void)off;
	(void)len;
	pthread_mutex_lock(&pci->lock);
	put_le32(data, pci->address);
	pthread_mutex_unlock(&pci->lock);
}

static void address_write(void *ctx, uint64_t off, const uint8_t *data,
			  unsigned int len)
{
	struct pci *pci = ctx;

	(void)off;
	(void)len;
	pthread_mutex_lock(&pci->lock);
	pci->address = get_le32(data) & ADDRESS_BITS;
	pthread_mutex_unlock(&pci->lock);
}

static void data_read(void *ctx, uint64_t off, uint8_t *data, unsigned int len)
{
	unsigned int reg;
	struct pci_dev *dev = selected(ctx, &reg);

	memset(data, 0xff, len);
	if (dev)
		cfg_read(dev, reg + off, data, len);
}

static void data_write(void *ctx, uint64_t off, const uint8_t *data,
		       unsigned int len)
{
	unsigned int reg;
	struct pci_dev *dev = selected(ctx, &reg);

	if (dev)
		cfg_write(dev, reg + off, data, len);
}

void pci_dev_init(struct pci_dev *dev, const struct pci_id *id,
		  const struct pci_ops *ops)
{
	dev->ops = ops;
	put_le16(dev->cfg + CFG_VENDOR, id->vendor);
	put_le16(dev->cfg + CFG_DEVICE, id->device);
	put_le16(dev->cfg + CFG_SUBSYSTEM_VENDOR, id->subsystem_vendor);
	put_le16(dev->cfg + CFG_SUBSYSTEM, id->subsystem);
	dev->cfg[CFG_REVISION] = id->revision;
	dev->cfg[CFG_CLASS] = id->class;
	dev->cfg[CFG_CLASS + 1] = id->class >> 8;
	dev->cfg[CFG_CLASS + 2] = id->class >> 16;
	dev->wmask[CFG_CACHE_LINE] = 0xff;
	dev->wmask[CFG_INTERRUPT_LINE] = 0xff;
	put_le16(dev->wmask + CFG_COMMAND,
		 COMMAND_MEMORY | COMMAND_MASTER | COMMAND_INTX_OFF);
	dev->cap_next = CFG_FIRST_CAP;
	dev->cap_last = CFG_CAPABILITIES - 1;
}

void pci_add_bar(struct pci_dev *dev, unsigned int bar, uint32_t len)
{
	dev->bar_len[bar] = len;
	/* The low bits stay 0: a 32-bit BAR, not prefetchable. */
	put_le32(dev->wmask + CFG_BAR0 + 4 * bar, ~(len - 1));
}

unsigned int pci_add_cap(struct pci_dev *dev, uint8_t id, unsigned int len)
{
	unsigned int at = dev->cap_next;

	dev->cfg[CFG_STATUS] |= STATUS_CAPABILITIES;
	dev->cfg[dev->cap_last + 1] = at;
	dev->cfg[at] = id;
	dev->cap_last = at;
	dev->cap_next = round_up(at + len, 4);
	return at;
}

void pci_add_msix(struct pci_dev *dev, unsigned int bar, unsigned int nr)
{
	struct pci_msix *m = &dev->msix;

	pci_add_bar(dev, bar, MSIX_BAR_LEN);
	m->cap = pci_add_cap(dev, CAP_MSIX, 12);
	m->bar = bar;
	m->nr = nr;
	put_le16(dev->cfg + m->cap + MSIX_CONTROL, nr - 1);
	put_le16(dev->wmask + m->cap + MSIX_CONTROL,
		 MSIX_ENABLE | MSIX_MASK_ALL);
	put_le32(dev->cfg + m->cap + 4, bar);
	put_le32(dev->cfg + m->cap + 8, MSIX_PBA | bar);
	for (unsigned int i = 0; i < nr; i++)
		m->table[i * MSIX_ENTRY + MSIX_ENTRY_CONTROL] =
			MSIX_ENTRY_MASKED;
}

int pci_add(struct pci *pci, struct pci_dev *dev)
{
	unsigned int slot = 0;

	while (slot < PCI_SLOTS && pci->slot[slot])
		slot++;
	if (slot == PCI_SLOTS)
		return -ENOSPC;
	dev->pci = pci;
	dev->slot = slot;
	for (unsigned int b = 0; b < PCI_BARS; b++) {
		uint64_t at = round_up(pci->mmio_next, dev->bar_len[b] ?: 1);

		if (!dev->bar_len[b])
			continue;
		if (at + dev->bar_len[b] > LAYOUT_PCI_MMIO +
					   (uint64_t)LAYOUT_PCI_MMIO_LEN)
			return -ENOSPC;
		put_le32(dev->cfg + CFG_BAR0 + 4 * b, at);
		pci->mmio_next = at + dev->bar_len[b];
	}
	/* The bridge has no interrupt. */
	if (slot) {
		dev->cfg[CFG_INTERRUPT_PIN] = 1;
		dev->cfg[CFG_INTERRUPT_LINE] = pci_gsi(slot, 0, IRQ_PCI);
	}
	pci->slot[slot] = dev;
	return 0;
}

int pci_init(struct pci *pci, struct bus *pio, struct bus *mmio,
	     const struct board *board)
{
	const struct bus_region address = {
		.base = PORT_PCI_ADDRESS, .len = 4, .width = 4, .whole = true,
		.dev = pci, .read = address_read, .write = address_write,
	};
	const struct bus_region data = {
		.base = PORT_PCI_DATA, .len = 4, .width = 4, .dev = pci,
		.read = data_read, .write = data_write,
	};
	const struct bus_region window = {
		.base = LAYOUT_PCI_MMIO, .len = LAYOUT_PCI_MMIO_LEN,
		.width = 8, .dev = pci, .read = mmio_read,
		.write = mmio_write,
	};
	/* The identity of the bridge that other VMMs show: no guest has quirks for it. */
	const struct pci_id id = {
		.vendor = 0x1b36, .device = 0x0008, .class = 0x060000,
	};
	int rc;

	memset(pci, 0, sizeof(*pci));
	pthread_mutex_init(&pci->lock, NULL);
	pci->board = board;
	pci->mmio_next = LAYOUT_PCI_MMIO;
	pci_dev_init(&pci->bridge, &id, NULL);
	rc = pci_add(pci, &pci->bridge);
	rc = rc ?: bus_add(pio, &address);
	rc = rc ?: bus_add(pio, &data);
	return rc ?: bus_add(mmio, &window);
}
