/*
 * dn_dir -- a directory of its own for each test of the DataNode's disk code, and
 * bytes to put there.
 */
#ifndef TESTS_UNIT_DN_DIR_H
#define TESTS_UNIT_DN_DIR_H

#include <stddef.h>
#include <stdint.h>

/* A fresh directory; good until dn_dir_remove. */
const char *dn_dir_make(void);
void dn_dir_remove(const char *dir);

/* The content of the recorded replica: byte i is (i * 7 + i / 251) % 251. */
void dn_content(uint8_t *p, size_t n, size_t from);

#endif
