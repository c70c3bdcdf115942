/*
 * Faults that a real kernel may produce. Compiled as a shared library, and named in LD_PRELOAD:
 *
 *     recv, read, send, write on a TCP socket     fewer bytes than asked for, or EINTR
 *     epoll_wait, poll, ppoll                     EINTR
 *     accept4                                     ECONNABORTED, EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM
 *     pthread_create, posix_spawn                 EAGAIN, once a client has been accepted
 *
 * They break no promise of the kernel. No byte is reported as moved that was not; no socket returns
 * EAGAIN, which with edge-triggered readiness would promise an event that never comes; and a short
 * read of a socket with edge-triggered readiness, which by epoll(7) means that the queue is empty, is
 * followed by an event for the rest, as if the rest had arrived a moment later.
 *
 * FAULTS_SEED is the seed of the random numbers; each thread and each process has its own sequence.
 * With FAULTS_NO_THREAD no thread and no process can be created.
 * FAULTS_COUNTS is a file of at least 4096 bytes, shared by all processes: the number of sequences,
 * then the count of each kind of fault in the order of `enum kind`, as 64-bit numbers.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* A fault happens to one call in N; but WHOLE_IN is for calls that are not cut short. */
enum { WHOLE_IN = 24, INTERRUPTED_IN = 4, WAIT_IN = 8, ACCEPT_IN = 8, CREATE_IN = 32 };

/* The most bytes that a call moves which is cut short. */
enum { LONGEST_CUT = 48 };

enum kind { SEQUENCES, SHORT_READ, SHORT_WRITE, INTERRUPTED, NOT_ACCEPTED, NOT_CREATED, KINDS };

enum { MAX_DESCRIPTORS = 65536 };

static _Atomic uint64_t own_counts[KINDS];
static _Atomic uint64_t *counts = own_counts;
static uint64_t seed;
static atomic_int accepted;
static __thread uint64_t state;

/* By descriptor: the epoll instance in which it is registered, and its event. */
static struct { int epoll; struct epoll_event event; } registered[MAX_DESCRIPTORS];

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

__attribute__((constructor)) static void begin(void) {
    const char *text = getenv("FAULTS_SEED"), *path = getenv("FAULTS_COUNTS");
    seed = text ? strtoull(text, NULL, 10) : 1;
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (shared != MAP_FAILED) counts = shared;
    close(file);
}

/* splitmix64. The state of a thread begins with the number of threads before it. */
static uint64_t next_random(void) {
    if (state == 0) state = (seed << 32) + (atomic_fetch_add(&counts[SEQUENCES], 1) << 8) + 1;
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static int once_in(unsigned n) { return next_random() % n == 0; }

static int fault(enum kind kind, int error) {
    atomic_fetch_add(&counts[kind], 1);
    errno = error;
    return -1;
}

static int is_tcp(int fd) {
    int protocol, saved = errno;
    socklen_t length = sizeof protocol;
    int known = getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &length) == 0;
    errno = saved;
    return known && protocol == IPPROTO_TCP;
}

/* The length to use instead: never 0, which would mean the end of input. */
static size_t cut(size_t length) {
    size_t most = length - 1 < LONGEST_CUT ? length - 1 : LONGEST_CUT;
    return 1 + next_random() % most;
}

/* After a short read: makes the kernel report an event if there is more. */
static void report_again(int fd) {
    int saved = errno;
    if (fd < MAX_DESCRIPTORS && registered[fd].event.events & EPOLLET) {
        REAL(epoll_ctl)(registered[fd].epoll, EPOLL_CTL_MOD, fd, &registered[fd].event);
    }
    errno = saved;
}

/* True if a call for `length` bytes is cut short. It counts as a fault once it has happened. */
static int is_cut(size_t length) { return length > 1 && !once_in(WHOLE_IN); }

#define RECEIVE(fd, length, call)                                                                  \
    if (!is_tcp(fd)) return call;                                                                  \
    if (once_in(INTERRUPTED_IN)) return fault(INTERRUPTED, EINTR);                                 \
    int cuts = is_cut(length);                                                                     \
    if (cuts) length = cut(length);                                                                \
    ssize_t n = call;                                                                              \
    if (cuts && n == (ssize_t)length) {                                                            \
        atomic_fetch_add(&counts[SHORT_READ], 1);                                                  \
        report_again(fd);                                                                          \
    }                                                                                              \
    return n;

#define SEND(fd, length, call)                                                                     \
    if (!is_tcp(fd)) return call;                                                                  \
    if (once_in(INTERRUPTED_IN)) return fault(INTERRUPTED, EINTR);                                 \
    int cuts = is_cut(length);                                                                     \
    if (cuts) length = cut(length);                                                                \
    ssize_t n = call;                                                                              \
    if (cuts && n > 0) atomic_fetch_add(&counts[SHORT_WRITE], 1);                                  \
    return n;

ssize_t recv(int fd, void *buffer, size_t length, int flags) {
    RECEIVE(fd, length, REAL(recv)(fd, buffer, length, flags))
}

ssize_t read(int fd, void *buffer, size_t length) {
    RECEIVE(fd, length, REAL(read)(fd, buffer, length))
}

ssize_t send(int fd, const void *buffer, size_t length, int flags) {
    SEND(fd, length, REAL(send)(fd, buffer, length, flags))
}

ssize_t write(int fd, const void *buffer, size_t length) {
    SEND(fd, length, REAL(write)(fd, buffer, length))
}

int epoll_ctl(int epoll, int what, int fd, struct epoll_event *event) {
    if (fd >= 0 && fd < MAX_DESCRIPTORS) {
        registered[fd].epoll = epoll;
        registered[fd].event = what == EPOLL_CTL_DEL ? (struct epoll_event){ 0 } : *event;
    }
    return REAL(epoll_ctl)(epoll, what, fd, event);
}

int epoll_wait(int epoll, struct epoll_event *events, int most, int timeout) {
    if (once_in(WAIT_IN)) return fault(INTERRUPTED, EINTR);
    return REAL(epoll_wait)(epoll, events, most, timeout);
}

int poll(struct pollfd *watched, nfds_t count, int timeout) {
    if (once_in(WAIT_IN)) return fault(INTERRUPTED, EINTR);
    return REAL(poll)(watched, count, timeout);
}

int ppoll(struct pollfd *watched, nfds_t count, const struct timespec *timeout,
          const sigset_t *mask) {
    if (once_in(WAIT_IN)) return fault(INTERRUPTED, EINTR);
    return REAL(ppoll)(watched, count, timeout, mask);
}

int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags) {
    static const int errors[] = { ECONNABORTED, EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM };
    if (once_in(ACCEPT_IN)) {
        return fault(NOT_ACCEPTED, errors[next_random() % (sizeof errors / sizeof *errors)]);
    }
    int socket = REAL(accept4)(fd, address, length, flags);
    if (socket >= 0) accepted = 1;
    return socket;
}

static int is_refused(void) {
    if (getenv("FAULTS_NO_THREAD")) return 1;
    if (!accepted || !once_in(CREATE_IN)) return 0;
    fault(NOT_CREATED, errno);
    return 1;
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*body)(void *),
                   void *argument) {
    if (is_refused()) return EAGAIN;
    return REAL(pthread_create)(thread, attributes, body, argument);
}

int posix_spawn(pid_t *child, const char *path, const posix_spawn_file_actions_t *actions,
                const posix_spawnattr_t *attributes, char *const argv[], char *const envp[]) {
    if (is_refused()) return EAGAIN;
    return REAL(posix_spawn)(child, path, actions, attributes, argv, envp);
}

int posix_spawnp(pid_t *child, const char *file, const posix_spawn_file_actions_t *actions,
                 const posix_spawnattr_t *attributes, char *const argv[], char *const envp[]) {
    if (is_refused()) return EAGAIN;
    return REAL(posix_spawnp)(child, file, actions, attributes, argv, envp);
}
