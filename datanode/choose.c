#include "datanode/choose.h"

/* Shares of 1/4096 of all room keep the credits small whatever the sizes are. */
#define SHARES 4096

int
dn_choose(struct dn_choice *volumes, size_t n, uint64_t need)
{
    uint64_t total = 0, unit;
    int64_t given = 0, share;
    int best = -1;

    for (size_t i = 0; i < n; i++)
        if (volumes[i].room > need)
            total += volumes[i].room / SHARES + 1;      /* in units, so that the sum cannot overflow */
    unit = total / SHARES + 1;
    for (size_t i = 0; i < n; i++) {
        if (volumes[i].room <= need)
            continue;
        share = (int64_t)((volumes[i].room / SHARES + 1) / unit) + 1;
        volumes[i].credit += share;
        given += share;
        if (best < 0 || volumes[i].credit > volumes[best].credit)
            best = (int)i;
    }
    if (best >= 0)
        volumes[best].credit -= given;
    return best;
}
