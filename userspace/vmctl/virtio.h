/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * virtio: what all devices and transports share. Status, features, and split
 * virtqueues in the memory of a guest that is not trusted: every index, length
 * and address is checked, and a ring that breaks the rules breaks the device
 * (DEVICE_NEEDS_RESET) and nothing else.
 *
 * Source: OASIS Virtual I/O Device (VIRTIO) Version 1.2, chapters "Basic
 * Facilities of a Virtio Device" and "Split Virtqueues". Not offered, so a
 * driver must not use them: indirect descriptors, event indices, packed rings.
 */
#ifndef VIRTIO_H
#define VIRTIO_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "memory.h"

#define VIRTIO_QUEUES		8
#define VIRTIO_QUEUE_SIZE	256	/* at most, and offered */
#define VIRTIO_NO_VECTOR	0xffff

/* Device status. */
enum {
	VIRTIO_ACKNOWLEDGE = 1,
	VIRTIO_DRIVER = 2,
	VIRTIO_DRIVER_OK = 4,
	VIRTIO_FEATURES_OK = 8,
	VIRTIO_NEEDS_RESET = 64,
	VIRTIO_FAILED = 128,
};

#define VIRTIO_F_VERSION_1	(1ULL << 32)

/* One buffer of a chain: in guest RAM, all of it. */
struct virtio_buf {
	uint8_t *data;
	uint64_t gpa;
	uint32_t len;
};

/* A request: @nr_out buffers to read, then @nr_in to write. */
struct virtio_chain {
	uint16_t head;
	unsigned int nr_out, nr_in;
	struct virtio_buf buf[VIRTIO_QUEUE_SIZE];
};

struct virtio_queue {
	/* Set by the driver through the transport while it is not enabled. */
	uint16_t size;
	uint64_t desc, driver, device;	/* guest physical */
	uint16_t vector;
	bool enabled;

	/* Valid while enabled. */
	const uint8_t *desc_ring;
	uint8_t *driver_ring, *device_ring;
	uint16_t taken;		/* requests taken, modulo 2^16 */
	uint16_t used;		/* requests given back */
};

struct virtio_dev;

/* All called with dev->lock held. */
struct virtio_ops {
	void (*config_read)(struct virtio_dev *dev, unsigned int off,
			    uint8_t *data, unsigned int len);
	void (*config_write)(struct virtio_dev *dev, unsigned int off,
			     const uint8_t *data, unsigned int len);
	/* The driver notified @queue, or set DRIVER_OK. From a vCPU's thread. */
	void (*kick)(struct virtio_dev *dev, unsigned int queue);
	/* The driver reset the device: forget its requests. */
	void (*reset)(struct virtio_dev *dev);
};

struct virtio_dev {
	pthread_mutex_t lock;	/* covers all below */
	const struct virtio_ops *ops;
	const struct guest_mem *mem;
	unsigned int type;	/* 5: balloon, ... */
	uint64_t features;	/* offered */
	uint64_t driver_features;
	uint8_t status;
	uint8_t generation;	/* of the device's configuration space */
	unsigned int nr_queues;
	struct virtio_queue queue[VIRTIO_QUEUES];

	/* The transport: interrupt for @queue, -1: configuration changed. */
	void *transport;
	void (*interrupt)(void *transport, int queue);
};

/* VERSION_1 is added to @features. */
void virtio_init(struct virtio_dev *dev, unsigned int type,
		 uint64_t features, unsigned int nr_queues,
		 const struct virtio_ops *ops, const struct guest_mem *mem);

/* -- for transports; dev->lock held ----------------------------------------- */

void virtio_set_status(struct virtio_dev *dev, uint8_t status);
/* Half @half (0, 1) of the driver's features; too late after FEATURES_OK. */
void virtio_set_features(struct virtio_dev *dev, unsigned int half, uint32_t v);
/* Check the rings and begin. Rings that cannot be break the device. */
void virtio_queue_enable(struct virtio_dev *dev, unsigned int queue);

/* -- for devices; dev->lock held -------------------------------------------- */

/* The driver has set the device up and not broken it. */
bool virtio_running(const struct virtio_dev *dev);
/* Take the next request. 1, 0 there is none, -EPROTO the device is broken. */
int virtio_pop(struct virtio_dev *dev, unsigned int queue,
	       struct virtio_chain *chain);
/* Give @head back with @len bytes written; no interrupt yet. */
void virtio_push(struct virtio_dev *dev, unsigned int queue, uint16_t head,
		 uint32_t len);
/* Interrupt for what was given back, unless the driver does not want it. */
void virtio_notify(struct virtio_dev *dev, unsigned int queue);
/* The device's configuration space changed. */
void virtio_config_changed(struct virtio_dev *dev);
void virtio_broken(struct virtio_dev *dev);

/* Copy from the buffers to read, from @off; how many bytes there were. */
size_t virtio_copy_out(const struct virtio_chain *chain, size_t off,
		       void *to, size_t len);

#endif
