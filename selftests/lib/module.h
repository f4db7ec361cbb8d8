/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * module.h - unload emys.ko and load it again. The file and the parameters it had come from
 * whoever runs the test: $EMYS_MODULE and $EMYS_PARAMS.
 */
#ifndef _MODULE_H
#define _MODULE_H

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ksft.h"

/* Skips the case where there is none. */
static inline const char *module_file(void)
{
	const char *file = getenv("EMYS_MODULE");

	REQUIRE(ksft_is_emys(), "not emys");
	REQUIRE(file && !access(file, R_OK), "no $EMYS_MODULE");
	return file;
}

static inline const char *module_params(void)
{
	const char *p = getenv("EMYS_PARAMS");

	return p ? p : "";
}

static inline void module_load(const char *params)
{
	int fd = CHECK_OK(open(module_file(), O_RDONLY | O_CLOEXEC));

	CHECK_MSG(!syscall(SYS_finit_module, fd, params, 0),
		  "loading with '%s': %s", params, strerror(errno));
	close(fd);
}

/* 0, or -1 and errno. */
static inline int module_unload(void)
{
	return syscall(SYS_delete_module, "emys", O_NONBLOCK);
}

/* The same when what holds it is on its way out: a worker frees what a dead VMM had. */
static inline int module_unload_soon(void)
{
	unsigned int i;

	for (i = 0; i < 100 * ksft_slowness(); i++) {
		if (!module_unload())
			return 0;
		if (errno != EWOULDBLOCK)
			break;
		usleep(10000);
	}
	return -1;
}

#endif
