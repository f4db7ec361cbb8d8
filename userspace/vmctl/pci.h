/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * PCI: bus 0 behind a host bridge, by configuration mechanism #1. Functions
 * with memory BARs, INTx and MSI-X; their BARs have addresses from the start,
 * and the guest may move them.
 *
 * Sources: PCI Local Bus Specification 3.0, chapters "Configuration Space" and
 * "MSI and MSI-X Support".
 */
#ifndef PCI_H
#define PCI_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "board.h"
#include "bus.h"

#define PCI_SLOTS	8	/* device numbers 0 to 7, function 0 of each */
#define PCI_BARS	6
#define PCI_PINS	4
#define PCI_CFG_SIZE	256
#define PCI_MSIX_MAX	32
#define PCI_MSIX_NONE	0xffff

struct pci;
struct pci_dev;

struct pci_id {
	uint16_t vendor;
	uint16_t device;
	uint16_t subsystem_vendor;
	uint16_t subsystem;
	uint32_t class;		/* class, subclass, interface: 24 bits */
	uint8_t revision;
};

/*
 * An access to a BAR: @len is 1 to 8 bytes inside it. Called without the bus's
 * lock, from vCPU threads.
 */
struct pci_ops {
	void (*bar_read)(struct pci_dev *dev, unsigned int bar, uint64_t off,
			 uint8_t *data, unsigned int len);
	void (*bar_write)(struct pci_dev *dev, unsigned int bar, uint64_t off,
			  const uint8_t *data, unsigned int len);
};

struct pci_msix {
	unsigned int bar;
	unsigned int nr;	/* vectors; 0: the function has no MSI-X */
	unsigned int cap;	/* offset of the capability */
	uint8_t table[PCI_MSIX_MAX * 16];
	uint64_t pending;
};

/*
 * One function, embedded in its device, which zeroes it first. Constant once
 * the guest runs, but for cfg, msix and intx, which pci->lock covers.
 */
struct pci_dev {
	struct pci *pci;
	unsigned int slot;
	const struct pci_ops *ops;
	uint8_t cfg[PCI_CFG_SIZE];
	uint8_t wmask[PCI_CFG_SIZE];	/* bits the guest may write */
	uint32_t bar_len[PCI_BARS];	/* a power of two, 0: no such BAR */
	unsigned int cap_last, cap_next;
	struct pci_msix msix;
	bool intx;			/* the function asks for its INTx */
	bool intx_out;			/* and that reaches the bridge */
	/*
	 * Offset of a capability of 20 bytes that is a window into BARs (virtio
	 * specification, "PCI configuration access capability"), or 0.
	 */
	unsigned int window;
};

struct pci {
	const struct board *board;
	pthread_mutex_t lock;	/* covers what follows; no callback but board's */
	uint32_t address;	/* the register at 0xcf8 */
	struct pci_dev *slot[PCI_SLOTS];
	unsigned int asserted[PCI_PINS];
	uint64_t mmio_next;
	struct pci_dev bridge;
};

/* Put bus and host bridge on the buses. 0 or bus_add()'s errno. */
int pci_init(struct pci *pci, struct bus *pio, struct bus *mmio,
	     const struct board *board);

/* Give @dev its identity. First of all. */
void pci_dev_init(struct pci_dev *dev, const struct pci_id *id,
		  const struct pci_ops *ops);
/* A 32-bit memory BAR of @len bytes, a power of two from 4 KiB. */
void pci_add_bar(struct pci_dev *dev, unsigned int bar, uint32_t len);
/*
 * A capability of @len bytes whose first is @id, the others zero; its offset.
 * The caller fills cfg and wmask. They must fit in 192 bytes all together.
 */
unsigned int pci_add_cap(struct pci_dev *dev, uint8_t id, unsigned int len);
/* MSI-X with @nr vectors; table at 0 and PBA at half of BAR @bar (4 KiB). */
void pci_add_msix(struct pci_dev *dev, unsigned int bar, unsigned int nr);
/* Plug it in: the next free slot. 0 or -ENOSPC. */
int pci_add(struct pci *pci, struct pci_dev *dev);

/* The guest chose MSI-X for it. */
bool pci_msix_enabled(struct pci_dev *dev);
/* Fire a vector; it stays pending while it is masked. Others: nothing. */
void pci_msix_fire(struct pci_dev *dev, unsigned int vector);
/* The device's own INTx state. It is a level, without effect under MSI-X. */
void pci_intx(struct pci_dev *dev, bool on);

/* The GSI of a slot's pin (0: INTA). */
static inline unsigned int pci_gsi(unsigned int slot, unsigned int pin,
				   unsigned int first)
{
	return first + (slot + pin) % PCI_PINS;
}

#endif
