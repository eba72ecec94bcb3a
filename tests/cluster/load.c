/* load -- see load.h. */
#include "tests/cluster/load.h"

#include <string.h>

#include "core/net/net.h"

uint64_t
load_word(uint64_t seed, uint64_t word)
{
    uint64_t z = seed + (word + 1) * UINT64_C(0x9e3779b97f4a7c15);      /* splitmix64 */

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void
load_fill(uint64_t seed, uint64_t at, uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint64_t word = load_word(seed, (at + i) / 8);
        size_t from = (size_t)((at + i) % 8), part = 8 - from < n - i ? 8 - from : n - i;

        memcpy(p + i, (const uint8_t *)&word + from, part);
        i += part;
    }
}

size_t
load_compare(uint64_t seed, uint64_t at, const uint8_t *p, size_t n)
{
    uint8_t want[8192];

    for (size_t i = 0; i < n;) {
        size_t part = n - i < sizeof want ? n - i : sizeof want;

        load_fill(seed, at + i, want, part);
        if (memcmp(want, p + i, part) != 0)
            for (size_t k = 0; k < part; k++)
                if (want[k] != p[i + k])
                    return i + k;
        i += part;
    }
    return n;
}

uint64_t
load_seed_of(const char *path)
{
    uint64_t h = 1469598103934665603u;

    for (; *path != '\0'; path++)
        h = (h ^ (uint8_t)*path) * 1099511628211u;
    return h;
}

int
main(int argc, char **argv)
{
    const char *path = conf_default_path();
    struct world w;
    struct conf c;
    struct why why;
    int status = 2;

    world_posix(&w);
    if (conf_init(&c, CL, &why) != RC_OK || (path != NULL && conf_load(&c, path, &why) != RC_OK) ||
        conf_derive(&c, &why) != RC_OK) {
        fprintf(stderr, "load: %s\n", why.text);
        return 2;
    }
    if (argc >= 4 && strcmp(argv[1], "run") == 0)
        status = load_run(&w, &c, argc - 2, argv + 2);
    else if (argc >= 3 && strcmp(argv[1], "verify") == 0)
        status = load_verify(&w, &c, argc - 2, argv + 2);
    else
        fprintf(stderr, "usage: load run DIR JOURNAL [NAME=NUMBER ...] | load verify JOURNAL [power] [recover]\n");
    conf_fini(&c);
    return status;
}
