// SPDX-License-Identifier: GPL-2.0-only
/* CMOS clock: the host's UTC time, read-only, and the CMOS bytes. */
#include "rtc.h"

#include <string.h>

#include "layout.h"

enum {
	RTC_SECONDS = 0x00,
	RTC_MINUTES = 0x02,
	RTC_HOURS = 0x04,
	RTC_WEEKDAY = 0x06,
	RTC_DAY = 0x07,
	RTC_MONTH = 0x08,
	RTC_YEAR = 0x09,
	RTC_REG_A = 0x0a,
	RTC_REG_B = 0x0b,
	RTC_REG_C = 0x0c,
	RTC_REG_D = 0x0d,
	RTC_CENTURY = 0x32,
};

#define REG_A_DEFAULT	0x26	/* 32768 Hz base, no update in progress */
#define REG_B_BINARY	0x04
#define REG_B_24H	0x02
#define REG_D_VALID	0x80

/* As register B asks: binary or BCD. */
static uint8_t encode(const struct rtc *rtc, int v)
{
	if (rtc->cmos[RTC_REG_B] & REG_B_BINARY)
		return v;
	return v / 10 << 4 | v % 10;
}

static uint8_t encode_hour(const struct rtc *rtc, int hour)
{
	int h = hour % 12 ?: 12;

	if (rtc->cmos[RTC_REG_B] & REG_B_24H)
		return encode(rtc, hour);
	return encode(rtc, h) | (hour >= 12 ? 0x80 : 0);
}

static uint8_t read_index(struct rtc *rtc)
{
	time_t now = rtc->now();
	struct tm tm;

	gmtime_r(&now, &tm);
	switch (rtc->index) {
	case RTC_SECONDS:
		return encode(rtc, tm.tm_sec);
	case RTC_MINUTES:
		return encode(rtc, tm.tm_min);
	case RTC_HOURS:
		return encode_hour(rtc, tm.tm_hour);
	case RTC_WEEKDAY:
		return encode(rtc, tm.tm_wday + 1);
	case RTC_DAY:
		return encode(rtc, tm.tm_mday);
	case RTC_MONTH:
		return encode(rtc, tm.tm_mon + 1);
	case RTC_YEAR:
		return encode(rtc, tm.tm_year % 100);
	case RTC_CENTURY:
		return encode(rtc, (tm.tm_year + 1900) / 100);
	case RTC_REG_C:
		return 0;	/* no interrupt is ever pending */
	case RTC_REG_D:
		return REG_D_VALID;
	default:
		return rtc->cmos[rtc->index];
	}
}

static void write_index(struct rtc *rtc, uint8_t v)
{
	switch (rtc->index) {
	case RTC_REG_C:
	case RTC_REG_D:
		break;
	case RTC_REG_A:
		rtc->cmos[RTC_REG_A] = v & 0x7f;
		break;
	default:
		/* Time registers keep what is written but never show it. */
		rtc->cmos[rtc->index] = v;
	}
}

static void rtc_read(void *dev, uint64_t off, uint8_t *data, unsigned int len)
{
	struct rtc *rtc = dev;

	(void)len;
	pthread_mutex_lock(&rtc->lock);
	*data = off ? read_index(rtc) : 0xff;
	pthread_mutex_unlock(&rtc->lock);
}

static void rtc_write(void *dev, uint64_t off, const uint8_t *data,
		      unsigned int len)
{
	struct rtc *rtc = dev;

	(void)len;
	pthread_mutex_lock(&rtc->lock);
	if (off)
		write_index(rtc, *data);
	else
		rtc->index = *data & 0x7f;	/* bit 7 gates NMIs */
	pthread_mutex_unlock(&rtc->lock);
}

static time_t wall_clock(void)
{
	return time(NULL);
}

int rtc_init(struct rtc *rtc, struct bus *pio)
{
	const struct bus_region region = {
		.base = PORT_RTC, .len = 2, .width = 1, .dev = rtc,
		.read = rtc_read, .write = rtc_write,
	};

	memset(rtc, 0, sizeof(*rtc));
	pthread_mutex_init(&rtc->lock, NULL);
	rtc->now = wall_clock;
	rtc->cmos[RTC_REG_A] = REG_A_DEFAULT;
	rtc->cmos[RTC_REG_B] = REG_B_24H;
	return bus_add(pio, &region);
}
