// SPDX-License-Identifier: GPL-2.0-only
/* virtio: what all devices and transports share. */
#include "virtio.h"

#include <errno.h>
#include <string.h>

#include "util.h"

#define DESC_LEN	16
#define DESC_NEXT	1
#define DESC_WRITE	2
#define DESC_INDIRECT	4

#define AVAIL_NO_INTERRUPT 1

void virtio_init(struct virtio_dev *dev, unsigned int type,
		 uint64_t features, unsigned int nr_queues,
		 const struct virtio_ops *ops, const struct guest_mem *mem)
{
	memset(dev, 0, sizeof(*dev));
	pthread_mutex_init(&dev->lock, NULL);
	dev->type = type;
	dev->features = features | VIRTIO_F_VERSION_1;
	dev->nr_queues = nr_queues;
	dev->ops = ops;
	dev->mem = mem;
	virtio_set_status(dev, 0);
}

static void reset(struct virtio_dev *dev)
{
	dev->status = 0;
	dev->driver_features = 0;
	for (unsigned int i = 0; i < dev->nr_queues; i++)
		dev->queue[i] = (struct virtio_queue){
			.size = VIRTIO_QUEUE_SIZE, .vector = VIRTIO_NO_VECTOR,
		};
	dev->ops->reset(dev);
}

void virtio_set_status(struct virtio_dev *dev, uint8_t status)
{
	uint8_t old = dev->status;

	if (!status) {
		reset(dev);
		return;
	}
	/* Bits go by a reset only, and NEEDS_RESET is the device's to set. */
	status = old | (status & ~VIRTIO_NEEDS_RESET);
	if (!(old & VIRTIO_FEATURES_OK) && status & VIRTIO_FEATURES_OK &&
	    (dev->driver_features & ~dev->features ||
	     !(dev->driver_features & VIRTIO_F_VERSION_1)))
		status &= ~VIRTIO_FEATURES_OK;
	if (!(status & VIRTIO_FEATURES_OK))
		status &= ~VIRTIO_DRIVER_OK;
	dev->status = status;
	/* Drivers fill queues before this, and their notifications came to nothing. */
	if (!(old & VIRTIO_DRIVER_OK) && virtio_running(dev))
		for (unsigned int i = 0; i < dev->nr_queues; i++)
			dev->ops->kick(dev, i);
}

void virtio_set_features(struct virtio_dev *dev, unsigned int half, uint32_t v)
{
	uint64_t mask = 0xffffffffULL << 32 * half;

	if (dev->status & VIRTIO_FEATURES_OK)
		return;
	dev->driver_features &= ~mask;
	dev->driver_features |= (uint64_t)v << 32 * half;
}

void virtio_queue_enable(struct virtio_dev *dev, unsigned int queue)
{
	struct virtio_queue *q = &dev->queue[queue];
	uint32_t n = q->size;

	if (q->enabled || !(dev->status & VIRTIO_FEATURES_OK))
		return;
	q->desc_ring = guest_mem_ptr(dev->mem, q->desc, n * DESC_LEN);
	q->driver_ring = guest_mem_ptr(dev->mem, q->driver, 6 + n * 2);
	q->device_ring = guest_mem_ptr(dev->mem, q->device, 6 + n * 8);
	if (!n || n > VIRTIO_QUEUE_SIZE || n & (n - 1) || q->desc % 16 ||
	    q->driver % 2 || q->device % 4 || !q->desc_ring ||
	    !q->driver_ring || !q->device_ring) {
		virtio_broken(dev);
		return;
	}
	q->taken = 0;
	q->used = 0;
	q->enabled = true;
}

bool virtio_running(const struct virtio_dev *dev)
{
	return (dev->status & (VIRTIO_DRIVER_OK | VIRTIO_NEEDS_RESET |
			       VIRTIO_FAILED)) == VIRTIO_DRIVER_OK;
}

void virtio_broken(struct virtio_dev *dev)
{
	if (dev->status & VIRTIO_NEEDS_RESET)
		return;
	dev->status |= VIRTIO_NEEDS_RESET;
	if (dev->status & VIRTIO_DRIVER_OK)
		virtio_config_changed(dev);
}

void virtio_config_changed(struct virtio_dev *dev)
{
	dev->generation++;
	if (dev->status & VIRTIO_DRIVER_OK)
		dev->interrupt(dev->transport, -1);
}

/* Follow the descriptors from chain->head. 0 or -EPROTO. */
static int walk(struct virtio_dev *dev, const struct virtio_queue *q,
		struct virtio_chain *chain)
{
	unsigned int at = chain->head, n = 0;
	uint8_t desc[DESC_LEN];
	uint64_t total = 0;
	unsigned int flags;

	chain->nr_out = 0;
	chain->nr_in = 0;
	do {
		struct virtio_buf *buf = &chain->buf[n];

		/* More than the ring has: it runs in a circle. */
		if (at >= q->size || n++ == q->size)
			return -EPROTO;
		/* Once: the guest may change it while it is looked at. */
		memcpy(desc, q->desc_ring + at * DESC_LEN, DESC_LEN);
		buf->gpa = get_le64(desc);
		buf->len = get_le32(desc + 8);
		flags = get_le16(desc + 12);
		at = get_le16(desc + 14);
		buf->data = guest_mem_ptr(dev->mem, buf->gpa, buf->len);
		total += buf->len;
		if (!buf->data || flags & DESC_INDIRECT || total >> 32)
			return -EPROTO;
		if (flags & DESC_WRITE)
			chain->nr_in++;
		else if (chain->nr_in)
			return -EPROTO;
		else
			chain->nr_out++;
	} while (flags & DESC_NEXT);
	return 0;
}

int virtio_pop(struct virtio_dev *dev, unsigned int queue,
	       struct virtio_chain *chain)
{
	struct virtio_queue *q = &dev->queue[queue];
	uint16_t *ring, waiting;

	if (!q->enabled || !virtio_running(dev))
		return 0;
	ring = (uint16_t *)q->driver_ring;
	/* flags, idx, ring[size]; the entries were written before idx. */
	waiting = __atomic_load_n(&ring[1], __ATOMIC_ACQUIRE) - q->taken;
	if (!waiting)
		return 0;
	if (waiting > q->size)
		goto broken;
	chain->head = __atomic_load_n(&ring[2 + q->taken % q->size],
				      __ATOMIC_RELAXED);
	if (walk(dev, q, chain))
		goto broken;
	q->taken++;
	return 1;
broken:
	virtio_broken(dev);
	return -EPROTO;
}

void virtio_push(struct virtio_dev *dev, unsigned int queue, uint16_t head,
		 uint32_t len)
{
	struct virtio_queue *q = &dev->queue[queue];
	uint8_t *entry;

	if (!q->enabled)
		return;
	entry = q->device_ring + 4 + q->used % q->size * 8;
	put_le32(entry, head);
	put_le32(entry + 4, len);
	q->used++;
	__atomic_store_n((uint16_t *)q->device_ring + 1, q->used,
			 __ATOMIC_RELEASE);
}

void virtio_notify(struct virtio_dev *dev, unsigned int queue)
{
	struct virtio_queue *q = &dev->queue[queue];
	uint16_t flags;

	if (!q->enabled)
		return;
	/* The flag must not be read before idx is seen: a driver looks again. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	flags = __atomic_load_n((uint16_t *)q->driver_ring, __ATOMIC_RELAXED);
	if (!(flags & AVAIL_NO_INTERRUPT))
		dev->interrupt(dev->transport, queue);
}

size_t virtio_copy_out(const struct virtio_chain *chain, size_t off,
		       void *to, size_t len)
{
	size_t done = 0;

	for (unsigned int i = 0; i < chain->nr_out && done < len; i++) {
		const struct virtio_buf *buf = &chain->buf[i];
		size_t n;

		if (off >= buf->len) {
			off -= buf->len;
			continue;
		}
		n = buf->len - off;
		if (n > len - done)
			n = len - done;
		memcpy((uint8_t *)to + done, buf->data + off, n);
		done += n;
		off = 0;
	}
	return done;
}
