/*
 * files -- what the filesystem's rows cost without one.
 *
 *     files put SOURCE COPY...              write() each copy in calls of 1 MB, then fdatasync() all
 *     files read SOURCE                     read() it in calls of 1 MB
 *     files tcp SOURCE                      one process reads it and writes to a TCP connection, another reads that
 *     files small DIR THREADS FILES BYTES COPIES    COPIES durable files for each: create, write, fdatasync, rename, fsync DIR
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CALL (1 << 20)

static char block[CALL];

static double
now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int
must(int r, const char *what)
{
    if (r < 0) {
        perror(what);
        exit(1);
    }
    return r;
}

static void
write_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, p, n);
        must(done < 0 ? -1 : 0, "write");
        p += done;
        n -= (size_t)done;
    }
}

static void
put(const char *source, char **copies, int n)
{
    int from = must(open(source, O_RDONLY), source), fds[16];
    ssize_t got;

    for (int i = 0; i < n; i++)
        fds[i] = must(open(copies[i], O_WRONLY | O_CREAT | O_TRUNC, 0644), copies[i]);
    while ((got = read(from, block, CALL)) > 0)
        for (int i = 0; i < n; i++)
            write_all(fds[i], block, (size_t)got);
    for (int i = 0; i < n; i++)
        must(fdatasync(fds[i]), "fdatasync");
}

static void
drain(int fd)
{
    while (read(fd, block, CALL) > 0)
        continue;
}

static void
tcp(const char *source)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof at;
    int listener = must(socket(AF_INET, SOCK_STREAM, 0), "socket"), fd, from;
    ssize_t got;

    must(bind(listener, (struct sockaddr *)&at, sizeof at), "bind");
    must(listen(listener, 1), "listen");
    must(getsockname(listener, (struct sockaddr *)&at, &n), "getsockname");
    if (must(fork(), "fork") == 0) {
        fd = must(accept(listener, NULL, NULL), "accept");
        from = must(open(source, O_RDONLY), source);
        while ((got = read(from, block, 64 << 10)) > 0)
            write_all(fd, block, (size_t)got);
        _exit(0);
    }
    fd = must(socket(AF_INET, SOCK_STREAM, 0), "socket");
    must(connect(fd, (struct sockaddr *)&at, sizeof at), "connect");
    drain(fd);
    wait(NULL);
}

struct small {
    const char *dir;
    int files, copies, dir_fd;
    size_t bytes;
    atomic_int next;
};

static void *
run_small(void *arg)
{
    struct small *s = arg;
    char made[512], kept[512];
    int i, fd;

    while ((i = atomic_fetch_add(&s->next, 1)) < s->files)
        for (int c = 0; c < s->copies; c++) {
            snprintf(made, sizeof made, "%s/%d-%d.tmp", s->dir, i, c);
            snprintf(kept, sizeof kept, "%s/%d-%d", s->dir, i, c);
            fd = must(open(made, O_WRONLY | O_CREAT | O_TRUNC, 0644), made);
            write_all(fd, block, s->bytes);
            must(fdatasync(fd), "fdatasync");
            close(fd);
            must(rename(made, kept), "rename");
            must(fsync(s->dir_fd), "fsync");
        }
    return NULL;
}

static void
small(char **a)
{
    int threads = (int)strtol(a[1], NULL, 10);
    struct small s = { .dir = a[0], .files = (int)strtol(a[2], NULL, 10), .bytes = (size_t)strtol(a[3], NULL, 10), .copies = (int)strtol(a[4], NULL, 10) };
    pthread_t t[256];
    double began = now();

    (void)mkdir(s.dir, 0755);
    s.dir_fd = must(open(s.dir, O_RDONLY), s.dir);
    for (int i = 0; i < threads; i++)
        pthread_create(&t[i], NULL, run_small, &s);
    for (int i = 0; i < threads; i++)
        pthread_join(t[i], NULL);
    printf("files_s %.1f\n", s.files / (now() - began));
}

int
main(int argc, char **argv)
{
    double began = now();

    if (argc > 3 && strcmp(argv[1], "put") == 0 && argc - 3 <= 16)
        put(argv[2], argv + 3, argc - 3);
    else if (argc == 3 && strcmp(argv[1], "read") == 0)
        drain(must(open(argv[2], O_RDONLY), argv[2]));
    else if (argc == 3 && strcmp(argv[1], "tcp") == 0)
        tcp(argv[2]);
    else if (argc == 7 && strcmp(argv[1], "small") == 0)
        small(argv + 2);
    else
        return 2;
    printf("seconds %.4f\n", now() - began);
    return 0;
}
