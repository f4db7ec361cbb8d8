// SPDX-License-Identifier: GPL-2.0-only
/* The PCI transport of virtio devices. */
#include "virtio_pci.h"

#include <stddef.h>
#include <string.h>

#include "util.h"

#define VIRTIO_VENDOR		0x1af4
#define VIRTIO_DEVICE		0x1040	/* + type */
#define CAP_VENDOR		0x09

/* Structures, and the values of a capability's cfg_type. */
enum { CAP_COMMON = 1, CAP_NOTIFY, CAP_ISR, CAP_CONFIG, CAP_WINDOW };

#define BAR_REGS		0
#define BAR_MSIX		1
#define BAR_LEN			0x4000
#define PART_LEN		0x1000	/* of each structure in the BAR */
#define AT_COMMON		0x0000
#define AT_ISR			0x1000
#define AT_CONFIG		0x2000
#define AT_NOTIFY		0x3000
#define NOTIFY_STEP		4

/* The common configuration structure. */
enum {
	DEVICE_FEATURE_SELECT = 0x00,
	DEVICE_FEATURE = 0x04,
	DRIVER_FEATURE_SELECT = 0x08,
	DRIVER_FEATURE = 0x0c,
	CONFIG_VECTOR = 0x10,
	NUM_QUEUES = 0x12,
	DEVICE_STATUS = 0x14,
	CONFIG_GENERATION = 0x15,
	QUEUE_SELECT = 0x16,
	QUEUE_SIZE = 0x18,
	QUEUE_VECTOR = 0x1a,
	QUEUE_ENABLE = 0x1c,
	QUEUE_NOTIFY_OFF = 0x1e,
	QUEUE_DESC = 0x20,
	QUEUE_DRIVER = 0x28,
	QUEUE_DEVICE = 0x30,
	COMMON_LEN = 0x38,
};

#define ISR_QUEUE		1
#define ISR_CONFIG		2

static struct virtio_pci *of(struct pci_dev *pci)
{
	return (struct virtio_pci *)((char *)pci -
				     offsetof(struct virtio_pci, pci));
}

static void interrupt(void *ctx, int queue)
{
	struct virtio_pci *vp = ctx;

	if (pci_msix_enabled(&vp->pci)) {
		pci_msix_fire(&vp->pci, queue < 0 ? vp->config_vector :
			      vp->dev->queue[queue].vector);
		return;
	}
	vp->isr |= queue < 0 ? ISR_CONFIG : ISR_QUEUE;
	pci_intx(&vp->pci, true);
}

static struct virtio_queue *selected(struct virtio_pci *vp)
{
	return vp->queue_select < vp->dev->nr_queues ?
	       &vp->dev->queue[vp->queue_select] : NULL;
}

static uint32_t feature_half(uint64_t features, uint32_t select)
{
	return select < 2 ? features >> 32 * select : 0;
}

/* The structure as it is now: reads may have any width. */
static void common_image(struct virtio_pci *vp, uint8_t *p)
{
	const struct virtio_dev *dev = vp->dev;
	const struct virtio_queue *q = selected(vp);

	memset(p, 0, COMMON_LEN);
	put_le32(p + DEVICE_FEATURE_SELECT, vp->feature_select);
	put_le32(p + DEVICE_FEATURE,
		 feature_half(dev->features, vp->feature_select));
	put_le32(p + DRIVER_FEATURE_SELECT, vp->driver_feature_select);
	put_le32(p + DRIVER_FEATURE,
		 feature_half(dev->driver_features, vp->driver_feature_select));
	put_le16(p + CONFIG_VECTOR, vp->config_vector);
	put_le16(p + NUM_QUEUES, dev->nr_queues);
	p[DEVICE_STATUS] = dev->status;
	p[CONFIG_GENERATION] = dev->generation;
	put_le16(p + QUEUE_SELECT, vp->queue_select);
	if (!q)
		return;
	put_le16(p + QUEUE_SIZE, q->size);
	put_le16(p + QUEUE_VECTOR, q->vector);
	put_le16(p + QUEUE_ENABLE, q->enabled);
	put_le16(p + QUEUE_NOTIFY_OFF, vp->queue_select);
	put_le64(p + QUEUE_DESC, q->desc);
	put_le64(p + QUEUE_DRIVER, q->driver);
	put_le64(p + QUEUE_DEVICE, q->device);
}

static uint16_t vector(const struct virtio_pci *vp, uint16_t v)
{
	return v < vp->pci.msix.nr ? v : VIRTIO_NO_VECTOR;
}

static void set_status(struct virtio_pci *vp, uint8_t status)
{
	virtio_set_status(vp->dev, status);
	if (status)
		return;
	vp->feature_select = 0;
	vp->driver_feature_select = 0;
	vp->queue_select = 0;
	vp->config_vector = VIRTIO_NO_VECTOR;
	vp->isr = 0;
	pci_intx(&vp->pci, false);
}

/* A write of 4 or 8 bytes to a 64-bit field, @off bytes into it. */
static void set_address(uint64_t *field, unsigned int off, const uint8_t *data,
			unsigned int len)
{
	uint8_t p[8];

	put_le64(p, *field);
	memcpy(p + off, data, len);
	*field = get_le64(p);
}

static void queue_write(struct virtio_pci *vp, unsigned int off,
			const uint8_t *data, unsigned int len)
{
	struct virtio_queue *q = selected(vp);

	if (!q)
		return;
	if (off == QUEUE_VECTOR && len == 2) {
		q->vector = vector(vp, get_le16(data));
		return;
	}
	/* The rest is settled once the queue is enabled. */
	if (q->enabled)
		return;
	if (off == QUEUE_SIZE && len == 2)
		q->size = get_le16(data);
	else if (off == QUEUE_ENABLE && len == 2 && get_le16(data) == 1)
		virtio_queue_enable(vp->dev, vp->queue_select);
	else if (off >= QUEUE_DESC && (len == 4 || len == 8) && off % len == 0)
		set_address(off < QUEUE_DRIVER ? &q->desc :
			    off < QUEUE_DEVICE ? &q->driver : &q->device,
			    off % 8, data, len);
}

/* Writes have the width of the field, as the specification demands. */
static void common_write(struct virtio_pci *vp, unsigned int off,
			 const uint8_t *data, unsigned int len)
{
	if (off == DEVICE_STATUS && len == 1)
		set_status(vp, *data);
	else if (off == DEVICE_FEATURE_SELECT && len == 4)
		vp->feature_select = get_le32(data);
	else if (off == DRIVER_FEATURE_SELECT && len == 4)
		vp->driver_feature_select = get_le32(data);
	else if (off == DRIVER_FEATURE && len == 4 &&
		 vp->driver_feature_select < 2)
		virtio_set_features(vp->dev, vp->driver_feature_select,
				    get_le32(data));
	else if (off == CONFIG_VECTOR && len == 2)
		vp->config_vector = vector(vp, get_le16(data));
	else if (off == QUEUE_SELECT && len == 2)
		vp->queue_select = get_le16(data);
	else if (off >= QUEUE_SIZE)
		queue_write(vp, off, data, len);
}

static void regs_read(struct pci_dev *pci, unsigned int bar, uint64_t at,
		      uint8_t *data, unsigned int len)
{
	struct virtio_pci *vp = of(pci);
	unsigned int off = at % PART_LEN;
	uint8_t image[COMMON_LEN];

	(void)bar;
	memset(data, 0, len);
	pthread_mutex_lock(&vp->dev->lock);
	switch (at - off) {
	case AT_COMMON:
		common_image(vp, image);
		if (off + len <= COMMON_LEN)
			memcpy(data, image + off, len);
		break;
	case AT_ISR:
		if (off)
			break;
		*data = vp->isr;
		vp->isr = 0;
		pci_intx(pci, false);
		break;
	case AT_CONFIG:
		vp->dev->ops->config_read(vp->dev, off, data, len);
		break;
	}
	pthread_mutex_unlock(&vp->dev->lock);
}

static void regs_write(struct pci_dev *pci, unsigned int bar, uint64_t at,
		       const uint8_t *data, unsigned int len)
{
	struct virtio_pci *vp = of(pci);
	unsigned int off = at % PART_LEN;

	(void)bar;
	pthread_mutex_lock(&vp->dev->lock);
	switch (at - off) {
	case AT_COMMON:
		if (off + len <= COMMON_LEN)
			common_write(vp, off, data, len);
		break;
	case AT_CONFIG:
		vp->dev->ops->config_write(vp->dev, off, data, len);
		break;
	case AT_NOTIFY:
		if (off / NOTIFY_STEP < vp->dev->nr_queues &&
		    virtio_running(vp->dev))
			vp->dev->ops->kick(vp->dev, off / NOTIFY_STEP);
		break;
	}
	pthread_mutex_unlock(&vp->dev->lock);
}

static const struct pci_ops regs_ops = { regs_read, regs_write };

/* A capability that says where a structure is. */
static unsigned int add_cap(struct pci_dev *pci, uint8_t type, uint32_t at,
			    uint32_t size, unsigned int len)
{
	unsigned int cap = pci_add_cap(pci, CAP_VENDOR, len);
	uint8_t *p = pci->cfg + cap;

	p[2] = len;
	p[3] = type;
	p[4] = BAR_REGS;
	put_le32(p + 8, at);
	put_le32(p + 12, size);
	return cap;
}

int virtio_pci_init(struct virtio_pci *vp, struct virtio_dev *dev,
		    struct pci *pci, uint32_t class)
{
	const struct pci_id id = {
		.vendor = VIRTIO_VENDOR, .device = VIRTIO_DEVICE + dev->type,
		.subsystem_vendor = VIRTIO_VENDOR,
		.subsystem = VIRTIO_DEVICE + dev->type,
		.class = class, .revision = 1,
	};
	struct pci_dev *p = &vp->pci;
	unsigned int cap;

	memset(vp, 0, sizeof(*vp));
	vp->dev = dev;
	vp->config_vector = VIRTIO_NO_VECTOR;
	pci_dev_init(p, &id, &regs_ops);
	pci_add_bar(p, BAR_REGS, BAR_LEN);
	pci_add_msix(p, BAR_MSIX, dev->nr_queues + 1);
	add_cap(p, CAP_COMMON, AT_COMMON, COMMON_LEN, 16);
	add_cap(p, CAP_ISR, AT_ISR, 4, 16);
	add_cap(p, CAP_CONFIG, AT_CONFIG, PART_LEN, 16);
	cap = add_cap(p, CAP_NOTIFY, AT_NOTIFY, PART_LEN, 20);
	put_le32(p->cfg + cap + 16, NOTIFY_STEP);
	cap = add_cap(p, CAP_WINDOW, 0, 0, 20);
	p->wmask[cap + 4] = 0xff;
	memset(p->wmask + cap + 8, 0xff, 12);
	p->window = cap;
	dev->transport = vp;
	dev->interrupt = interrupt;
	return pci_add(pci, p);
}
