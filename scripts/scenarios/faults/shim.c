/*
 * Faults that a kernel may really bring, for a program that is started with this file, compiled as
 * a shared library, in LD_PRELOAD:
 *
 *     recv, read, send, write on a TCP socket     fewer bytes than asked for, or EINTR
 *     epoll_wait, poll, ppoll                     EINTR
 *     accept4                                     ECONNABORTED, EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM
 *     pthread_create, posix_spawn                 EAGAIN, once a client has been accepted
 *
 * They are honest. Nothing is ever said to have moved that did not; a socket never says EAGAIN by
 * our doing, which with edge-triggered readiness would promise an event that never comes; and a
 * short read of a socket with edge-triggered readiness, which by epoll(7) means that nothing is
 * left, is followed by the event that brings the rest, as if the rest had come a moment later.
 *
 * FAULTS_SEED is where the dice begin; each thread and each process throws its own. FAULTS_TALLY is
 * a file of at least 4096 bytes, shared by all processes: the count of each kind of fault is in it,
 * as 64-bit numbers in the order of `enum kind`, behind the number of throwers.
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

/* How often: one call in so many; only one call in so many is not cut short. */
enum { WHOLE_IN = 24, INTERRUPTED_IN = 4, WAIT_IN = 8, ACCEPT_IN = 16, CREATE_IN = 32 };

/* What is left of a call that is cut short, in bytes. */
enum { LONGEST_CUT = 48 };

enum kind { THROWERS, SHORT_READ, SHORT_WRITE, INTERRUPTED, NOT_ACCEPTED, NOT_CREATED, KINDS };

enum { MOST_DESCRIPTORS = 65536 };

static _Atomic uint64_t own_tally[KINDS];
static _Atomic uint64_t *tally = own_tally;
static uint64_t seed;
static atomic_int accepted;
static __thread uint64_t dice;

/* By descriptor: the epoll instance that waits for it, and what for. */
static struct { int epoll; struct epoll_event event; } waiting[MOST_DESCRIPTORS];

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

__attribute__((constructor)) static void begin(void) {
    const char *text = getenv("FAULTS_SEED"), *path = getenv("FAULTS_TALLY");
    seed = text ? strtoull(text, NULL, 10) : 1;
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (shared != MAP_FAILED) tally = shared;
    close(file);
}

/* splitmix64; a thread's first throw depends on how many threw before it. */
static uint64_t throw_dice(void) {
    if (dice == 0) dice = (seed << 32) + (atomic_fetch_add(&tally[THROWERS], 1) << 8) + 1;
    uint64_t z = dice += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static int once_in(unsigned n) { return throw_dice() % n == 0; }

static int fault(enum kind kind, int error) {
    atomic_fetch_add(&tally[kind], 1);
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

/* The length to ask for instead: never 0, which would mean the end of input. */
static size_t cut(size_t length) {
    size_t most = length - 1 < LONGEST_CUT ? length - 1 : LONGEST_CUT;
    return 1 + throw_dice() % most;
}

/* After a short read: the event that says that there is more, if there is. */
static void remind(int fd) {
    int saved = errno;
    if (fd < MOST_DESCRIPTORS && waiting[fd].event.events & EPOLLET) {
        REAL(epoll_ctl)(waiting[fd].epoll, EPOLL_CTL_MOD, fd, &waiting[fd].event);
    }
    errno = saved;
}

/* Whether a call to move so many bytes is to be cut short; a fault is noted when it has happened. */
static int is_cut(size_t length) { return length > 1 && !once_in(WHOLE_IN); }

#define RECEIVE(fd, length, call)                                                                  \
    if (!is_tcp(fd)) return call;                                                                  \
    if (once_in(INTERRUPTED_IN)) return fault(INTERRUPTED, EINTR);                                 \
    int cuts = is_cut(length);                                                                     \
    if (cuts) length = cut(length);                                                                \
    ssize_t n = call;                                                                              \
    if (cuts && n == (ssize_t)length) {                                                            \
        atomic_fetch_add(&tally[SHORT_READ], 1);                                                   \
        remind(fd);                                                                                \
    }                                                                                              \
    return n;

#define SEND(fd, length, call)                                                                     \
    if (!is_tcp(fd)) return call;                                                                  \
    if (once_in(INTERRUPTED_IN)) return fault(INTERRUPTED, EINTR);                                 \
    int cuts = is_cut(length);                                                                     \
    if (cuts) length = cut(length);                                                                \
    ssize_t n = call;                                                                              \
    if (cuts && n > 0) atomic_fetch_add(&tally[SHORT_WRITE], 1);                                   \
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
    if (fd >= 0 && fd < MOST_DESCRIPTORS) {
        waiting[fd].epoll = epoll;
        waiting[fd].event = what == EPOLL_CTL_DEL ? (struct epoll_event){ 0 } : *event;
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
        return fault(NOT_ACCEPTED, errors[throw_dice() % (sizeof errors / sizeof *errors)]);
    }
    int socket = REAL(accept4)(fd, address, length, flags);
    if (socket >= 0) accepted = 1;
    return socket;
}

static int is_refused(void) {
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
