// SPDX-License-Identifier: GPL-2.0-only
/* A device's thread: does its work away from the vCPUs that ask for it. */
#include "virtio_thread.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void *run(void *arg)
{
	struct virtio_thread *t = arg;
	uint64_t count;

	while (!t->stop)
		if (read(t->fd, &count, sizeof(count)) > 0 && !t->stop)
			t->work(t->ctx);
	return NULL;
}

int virtio_thread_init(struct virtio_thread *t, void (*work)(void *ctx),
		       void *ctx)
{
	memset(t, 0, sizeof(*t));
	t->work = work;
	t->ctx = ctx;
	t->fd = eventfd(0, EFD_CLOEXEC);
	return t->fd < 0 ? -errno : 0;
}

void virtio_thread_destroy(struct virtio_thread *t)
{
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
}

int virtio_thread_start(struct virtio_thread *t, const char *name)
{
	int rc = pthread_create(&t->thread, NULL, run, t);

	if (rc)
		return -rc;
	t->started = true;
	pthread_setname_np(t->thread, name);
	return 0;
}

void virtio_thread_stop(struct virtio_thread *t)
{
	if (!t->started)
		return;
	t->stop = true;
	virtio_thread_wake(t);
	pthread_join(t->thread, NULL);
	t->started = false;
}

void virtio_thread_wake(struct virtio_thread *t)
{
	const uint64_t one = 1;

	/* It fails only on a signal, and then nothing was added: try again. */
	while (write(t->fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}
