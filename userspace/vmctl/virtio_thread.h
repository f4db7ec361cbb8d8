/* SPDX-License-Identifier: GPL-2.0-only */
/* A device's thread: does its work away from the vCPUs that ask for it. */
#ifndef VIRTIO_THREAD_H
#define VIRTIO_THREAD_H

#include <pthread.h>
#include <stdbool.h>

struct virtio_thread {
	int fd;			/* eventfd, -1 without one */
	void (*work)(void *ctx);
	void *ctx;
	pthread_t thread;
	bool started;
	_Atomic bool stop;
};

/* No thread yet, but wakes count from now on. 0 or a negative errno. */
int virtio_thread_init(struct virtio_thread *t, void (*work)(void *ctx),
		       void *ctx);
void virtio_thread_destroy(struct virtio_thread *t);

/* 0 or a negative errno. */
int virtio_thread_start(struct virtio_thread *t, const char *name);
/* Wait for its end; work in progress is finished. */
void virtio_thread_stop(struct virtio_thread *t);

/* Call work() soon, in the thread. From any thread. */
void virtio_thread_wake(struct virtio_thread *t);

#endif
