/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The PCI transport of virtio devices: modern (1.x) only. BAR 0 holds the
 * common, ISR, device and notification structures, BAR 1 MSI-X; a driver
 * without MSI-X gets INTA.
 *
 * Source: OASIS VIRTIO Version 1.2, chapter "Virtio Over PCI Bus".
 */
#ifndef VIRTIO_PCI_H
#define VIRTIO_PCI_H

#include "pci.h"
#include "virtio.h"

struct virtio_pci {
	struct pci_dev pci;
	struct virtio_dev *dev;
	/* dev->lock covers these. */
	uint32_t feature_select, driver_feature_select;
	uint16_t queue_select;
	uint16_t config_vector;
	uint8_t isr;
};

/* Plug @dev, initialised, into @pci. 0 or pci_add()'s errno. */
int virtio_pci_init(struct virtio_pci *vp, struct virtio_dev *dev,
		    struct pci *pci, uint32_t class);

#endif
