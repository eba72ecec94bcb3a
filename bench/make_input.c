/*
 * make_input -- inputs of the measurements, the same bytes for the same words.
 *
 *     make_input text BYTES       lines of ten words; the frequency of a word is 1 / its rank (Zipf), a million ranks
 *     make_input records ROWS     100 bytes each: a random key of 10, the row's number, filler (as gensort's)
 *     make_input groups ROWS      CSV "key,value": 100,000 keys, values of two decimals
 *     make_input points ROWS      CSV of 21 numbers: a label of 0 or 1, then 20 coordinates around one of ten centres
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RANKS 1000000
#define GROUPS 100000
#define DIMENSIONS 20
#define CENTRES 10

/* splitmix64: Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014. */
static uint64_t
next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static double
unit(uint64_t *state)
{
    return (double)(next(state) >> 11) * 0x1p-53;
}

static double
normal(uint64_t *state)
{
    return sqrt(-2 * log(1 - unit(state))) * cos(6.283185307179586 * unit(state));
}

/* The word of a rank, no two alike: frequent ones are short. */
static size_t
word_of(uint32_t rank, char *out)
{
    size_t n = rank < 500 ? 3 : rank < 40000 ? 5 : 8;
    uint64_t all = 1, x;

    for (size_t i = 0; i < n; i++)
        all *= 26;
    x = (uint64_t)rank * 7919 % all;        /* 7919 has no factor of 26: a permutation */
    for (size_t i = 0; i < n; i++, x /= 26)
        out[i] = (char)('a' + x % 26);
    return n;
}

static void
make_text(uint64_t bytes)
{
    double span = log(RANKS + 1);
    uint64_t state = 1, written = 0;
    char line[128];

    while (written < bytes) {
        size_t n = 0;

        for (int i = 0; i < 10; i++) {
            n += word_of((uint32_t)exp(unit(&state) * span) - 1, line + n);
            line[n++] = i < 9 ? ' ' : '\n';
        }
        written += fwrite(line, 1, n, stdout);
    }
}

static void
make_records(uint64_t rows)
{
    uint64_t state = 2;
    char r[101];

    for (uint64_t i = 0; i < rows; i++) {
        for (int k = 0; k < 10; k++)
            r[k] = (char)(' ' + next(&state) % 95);
        (void)snprintf(r + 10, sizeof r - 10, "  %032llx  ", (unsigned long long)i);
        memset(r + 46, 'A' + (int)(i % 26), 52);
        r[98] = '\r';
        r[99] = '\n';
        (void)!fwrite(r, 1, 100, stdout);   /* ferror is looked at once, at the end */
    }
}

static void
make_groups(uint64_t rows)
{
    uint64_t state = 3;

    for (uint64_t i = 0; i < rows; i++) {
        unsigned cents = (unsigned)(next(&state) % 100000);

        printf("k%05u,%u.%02u\n", (unsigned)(next(&state) % GROUPS), cents / 100, cents % 100);
    }
}

static void
make_points(uint64_t rows)
{
    uint64_t state = 4;
    double centre[CENTRES][DIMENSIONS];

    for (int c = 0; c < CENTRES; c++)
        for (int d = 0; d < DIMENSIONS; d++)
            centre[c][d] = 10 * unit(&state) - 5;
    for (uint64_t i = 0; i < rows; i++) {
        const double *at = centre[next(&state) % CENTRES];
        double x[DIMENSIONS], z = 0;
        char line[DIMENSIONS * 16];
        size_t n = 0;

        for (int d = 0; d < DIMENSIONS; d++) {
            x[d] = at[d] + normal(&state);
            z += (d % 3 - 1) * x[d] / 4;
            n += (size_t)snprintf(line + n, sizeof line - n, ",%.6f", x[d]);
        }
        printf("%d%s\n", unit(&state) < 1 / (1 + exp(-z)), line);
    }
}

int
main(int argc, char **argv)
{
    static char buffer[1 << 20];
    uint64_t n = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;

    (void)setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    if (n && strcmp(argv[1], "text") == 0)
        make_text(n);
    else if (n && strcmp(argv[1], "records") == 0)
        make_records(n);
    else if (n && strcmp(argv[1], "groups") == 0)
        make_groups(n);
    else if (n && strcmp(argv[1], "points") == 0)
        make_points(n);
    else {
        fprintf(stderr, "usage: make_input text BYTES | records ROWS | groups ROWS | points ROWS\n");
        return 2;
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("make_input");
        return 1;
    }
    return 0;
}
