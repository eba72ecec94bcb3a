#include "namenode/disk.h"

#include "core/base/attr.h"
#include "core/base/log.h"
#include "core/io/io.h"
#include "namenode/core.h"
#include "namenode/periodic.h"

#define RESERVE_BYTES (16 * MB)
#define LOW_BYTES (8 * MB)          /* available for us, beside the reserve */

enum rc
nn_disk_reserve(struct nn *nn, bool *ret_full, struct why *why)
{
    struct io *io = nn->world->io;
    int fd;
    enum rc rc;

    if ((rc = io_open(io, nn->reserve_path, IO_READ | IO_WRITE | IO_CREATE | IO_PRIVATE, &fd, why)) == RC_OK) {
        rc = io_allocate(io, fd, RESERVE_BYTES, why);
        io_close(io, fd);
    }
    if (rc == RC_NO_SPACE) {
        (void)io_unlink(io, nn->reserve_path, why);     /* what it got is given back; the next try makes it again */
        *ret_full = true;
        return RC_OK;
    }
    *ret_full = false;
    return rc;
}

void
nn_disk_release(struct nn_core *core)
{
    struct why why;

    if (core->disk_full)
        return;
    core->disk_full = true;
    (void)io_unlink(core->nn->world->io, core->nn->reserve_path, &why);     /* without it the deletes wait */
    log_error("disk_full", "dir=%s admitted=deletes", core->nn->dir);
}

enum rc
nn_periodic_disk(struct nn_core *core, struct why *why)
{
    struct io_space space;
    bool full;
    enum rc rc;

    if ((rc = io_space(core->nn->world->io, core->nn->dir, &space, why)) != RC_OK)
        return rc;
    if (!core->disk_full) {
        if (space.available < LOW_BYTES)
            nn_disk_release(core);
        return RC_OK;
    }
    if (space.available < RESERVE_BYTES + 2 * LOW_BYTES)
        return RC_OK;
    if ((rc = nn_disk_reserve(core->nn, &full, why)) == RC_OK && !full) {
        core->disk_full = false;
        log_info("disk_has_room", "dir=%s", core->nn->dir);
    }
    return rc;
}
