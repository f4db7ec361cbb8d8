/* SPDX-License-Identifier: GPL-2.0-only */
/* CMOS clock: the host's UTC time, read-only, and the CMOS bytes. */
#ifndef RTC_H
#define RTC_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

#include "bus.h"

struct rtc {
	pthread_mutex_t lock;	/* covers all below */
	uint8_t index;
	uint8_t cmos[128];
	time_t (*now)(void);	/* seconds since the epoch */
};

/* 0 or bus_add()'s errno. */
int rtc_init(struct rtc *rtc, struct bus *pio);

#endif
