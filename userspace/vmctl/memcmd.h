/* SPDX-License-Identifier: GPL-2.0-only */
/* memcmd.h - what the commands about guest memory share: arguments, settings, numbers. */
#ifndef MEMCMD_H
#define MEMCMD_H

#include <stdint.h>

#include "nl.h"
#include "vmctl.h"

#define PAGE_BYTES 4096ULL

/*
 * Take --json and --help, wherever they stand, out of @argv. Returns how many arguments are
 * left in it, or -1 when *@status is what the command shall exit with.
 */
int memcmd_options(const struct command *cmd, int argc, char **argv, bool *json, int *status);

/* A whole positive number, not above @max; false after a message that calls it @what. */
bool memcmd_number(const char *what, const char *text, uint64_t max, uint64_t *value);
/* The id of the VM that is called @text, or whose id it is; 0 after a message. */
uint32_t memcmd_vm(struct family *f, const char *text);
/* The name that the VM's process answers to, or "-". @names: memcmd_names(). */
const char *memcmd_name(const json_t *names, const json_t *vm);
/* Names of running VMs by process; a new reference. */
json_t *memcmd_names(void);

/*
 * Settings "key=value" as attributes of @set, in a new object; NULL after a message. A key may go
 * into a nest, "up.soft"; an enum has names, a switch is on or off, and a
 * 64-bit number counts pages, or bytes with K, M, G or T behind it.
 */
json_t *memcmd_settings(const struct nl_attr_set *set, int argc, char **argv);
/* Print @object, which is of @set, as lines "key value". */
void memcmd_print(const struct nl_attr_set *set, const json_t *object, const char *prefix);

/* Send @request, which is released; an exit status, after a message when it failed. */
int memcmd_act(struct family *f, int cmd, json_t *request);

/* Pages as text, "512K", "1.5M"; one of a few static buffers. */
const char *memcmd_size(long long pages);
/* A domain as text: "own" for a VM's own, else its number; likewise. */
const char *memcmd_domain(long long domain);

/* The integer at @key of the object at @nest of @o, 0 where there is none. */
long long memcmd_in(const json_t *o, const char *nest, const char *key);
/* Print @json on stdout and release it. */
void memcmd_json(json_t *json);

#endif
