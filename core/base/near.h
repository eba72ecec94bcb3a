/*
 * near -- how far two words are apart, to suggest the one that was meant.
 */
#ifndef CORE_BASE_NEAR_H
#define CORE_BASE_NEAR_H

/* The number of single-character changes (insert, delete, replace, swap of two neighbours) from a to b; at most cap,
 * which is also the answer for words of more than 127 bytes. */
unsigned near_distance(const char *a, const char *b, unsigned cap);

#endif
