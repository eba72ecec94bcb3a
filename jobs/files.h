/*
 * files.h -- small files that drivers write into their output directory.
 */
#ifndef JOBS_FILES_H
#define JOBS_FILES_H

#include <mr.h>
#include <stdio.h>
#include <stdlib.h>

/* DIRECTORY/NAME gets what write(arg, f) prints, all of it or nothing; -1 after saying why on stderr. */
static inline int files_save(struct mr_driver *d, const char *directory, const char *name, void (*write)(const void *arg, FILE *f),
                             const void *arg)
{
    char path[4096], *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    int rc = -1;

    if (f != NULL) {
        write(arg, f);
        if (fclose(f) == 0 && snprintf(path, sizeof path, "%s/%s", directory, name) < (int)sizeof path)
            rc = mr_write_file(d, path, text, n);
        else
            fprintf(stderr, "%s/%s: no memory for its text, or its path is too long\n", directory, name);
    }
    free(text);
    return rc;
}

/* The directory of `mr run -output`, made if it is not there; NULL after saying why. */
static inline const char *files_directory(struct mr_driver *d)
{
    const char *directory = mr_driver_output(d);

    if (directory == NULL)
        fprintf(stderr, "give -output DIR for what comes out\n");
    return directory != NULL && mr_mkdirs(d, directory) == 0 ? directory : NULL;
}

/* An option that is a number. */
static inline double files_number(struct mr_driver *d, const char *key, const char *dflt)
{
    return strtod(mr_driver_option(d, key, dflt), NULL);
}

#endif
