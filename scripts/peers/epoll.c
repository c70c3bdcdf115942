/* epoll.c: a single-threaded epoll server in plain C, with which scripts/measure-models compares
 * socklab's models.
 *
 *   epoll echo PORT    returns every byte
 *   epoll calc PORT    replies to a line with its value: + - * / % ( ) on 64-bit integers, as in C
 *
 * It has no timeouts, no log, no busy line and one framing: the least that a server can cost. */

#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ROOM = 64 * 1024,    /* one receive, in bytes */
    REPLIES = 8 * ROOM,  /* the replies to one receive: at most 6 bytes for each, "error\n" */
    BACKLOG = 4096,
    EVENTS = 1024,
    DEPTH = 200, /* nested brackets */
    MAX_FDS = 1 << 20,
};

/* Pending bytes: the beginning of a line, or the end of a reply. */
struct bytes {
    char *data;
    size_t size;
};

static struct connection {
    struct bytes line, reply;
} connections[MAX_FDS];

static int poll_fd;
static bool calculates;
static char input[2 * ROOM], replies[REPLIES];

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void keep(struct bytes *bytes, const char *data, size_t size) {
    char *copy = NULL;
    if (size > 0) {
        copy = malloc(size);
        if (copy == NULL) fail("malloc");
        memcpy(copy, data, size);
    }
    free(bytes->data);
    *bytes = (struct bytes){copy, size};
}

/* The calculator: a recursive-descent parser that stays failed after the first error. */

struct reader {
    const char *at, *end;
    bool failed;
};

static int64_t sum(struct reader *r, int depth);

static char peek(struct reader *r) {
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\r')) r->at++;
    return r->at < r->end ? *r->at : '\0';
}

static int64_t factor(struct reader *r, int depth) {
    char next = peek(r);
    int64_t value = 0;
    if (depth == 0 || r->failed) {
        r->failed = true;
    } else if (next == '(') {
        r->at++;
        value = sum(r, depth - 1);
        if (peek(r) == ')') r->at++;
        else r->failed = true;
    } else if (next == '-') {
        r->at++;
        r->failed |= __builtin_sub_overflow(0, factor(r, depth - 1), &value);
    } else if (next >= '0' && next <= '9') {
        for (; r->at < r->end && *r->at >= '0' && *r->at <= '9'; r->at++) {
            r->failed |= __builtin_mul_overflow(value, 10, &value);
            r->failed |= __builtin_add_overflow(value, *r->at - '0', &value);
        }
    } else {
        r->failed = true;
    }
    return value;
}

static int64_t term(struct reader *r, int depth) {
    int64_t value = factor(r, depth);
    for (char operator; operator = peek(r), operator == '*' || operator == '/' || operator == '%';) {
        r->at++;
        int64_t right = factor(r, depth);
        if (operator == '*') r->failed |= __builtin_mul_overflow(value, right, &value);
        else if (right == 0) r->failed = true;
        else if (right == -1 && operator == '/') /* -INT64_MIN overflows */
            r->failed |= __builtin_sub_overflow(0, value, &value);
        else if (right == -1) value = 0;
        else value = operator == '/' ? value / right : value % right;
        if (r->failed) return 0;
    }
    return value;
}

static int64_t sum(struct reader *r, int depth) {
    int64_t value = term(r, depth);
    for (char operator; operator = peek(r), operator == '+' || operator == '-';) {
        r->at++;
        int64_t right = term(r, depth);
        r->failed |= operator == '+' ? __builtin_add_overflow(value, right, &value)
                                     : __builtin_sub_overflow(value, right, &value);
        if (r->failed) return 0;
    }
    return value;
}

/* Writes the reply to a line, and returns the position of the next. */
static char *answer(const char *line, const char *end, char *out) {
    struct reader r = {line, end, false};
    int64_t value = sum(&r, DEPTH);
    if (r.failed || peek(&r) != '\0') return mempcpy(out, "error\n", 6);
    uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;
    char digits[20], *first = digits + sizeof digits;
    do *--first = (char)('0' + rest % 10);
    while (rest /= 10);
    if (value < 0) *out++ = '-';
    out = mempcpy(out, first, (size_t)(digits + sizeof digits - first));
    *out++ = '\n';
    return out;
}

/* One connection. */

static void wait_for(int fd, uint32_t events, int operation) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    if (epoll_ctl(poll_fd, operation, fd, &event) < 0) fail("epoll_ctl");
}

static void close_connection(int fd) {
    keep(&connections[fd].line, NULL, 0);
    keep(&connections[fd].reply, NULL, 0);
    close(fd);
}

/* Sends what the socket takes, keeps the rest, and then waits for room instead of input. */
static bool reply(int fd, const char *data, size_t size) {
    ssize_t n = size > 0 ? send(fd, data, size, MSG_NOSIGNAL) : 0;
    if (n < 0 && errno != EAGAIN) return false;
    size_t sent = n > 0 ? (size_t)n : 0;
    bool was_full = connections[fd].reply.size > 0, is_full = sent < size;
    keep(&connections[fd].reply, data + sent, size - sent);
    if (was_full != is_full) wait_for(fd, is_full ? EPOLLOUT : EPOLLIN, EPOLL_CTL_MOD);
    return true;
}

static bool serve(int fd, uint32_t events) {
    struct connection *c = &connections[fd];
    if (events & EPOLLOUT) return reply(fd, c->reply.data, c->reply.size);
    size_t begun = c->line.size;
    if (begun > 0) memcpy(input, c->line.data, begun);
    ssize_t n = recv(fd, input + begun, ROOM, 0);
    if (n <= 0) return n < 0 && errno == EAGAIN;
    if (!calculates) return reply(fd, input, (size_t)n);
    char *line = input, *end = input + begun + n, *out = replies, *newline;
    while ((newline = memchr(line, '\n', (size_t)(end - line))) != NULL) {
        out = answer(line, newline, out);
        line = newline + 1;
    }
    if (end - line >= ROOM) return false; /* too long a line */
    if (begun > 0 || line < end) keep(&c->line, line, (size_t)(end - line));
    return out == replies || reply(fd, replies, (size_t)(out - replies));
}

static void accept_all(int listener) {
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        if (fd < MAX_FDS) wait_for(fd, EPOLLIN, EPOLL_CTL_ADD);
        else close(fd);
    }
}

static int listen_on(uint16_t port) {
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, BACKLOG) < 0)
        fail("listen");
    return fd;
}

int main(int count, char **words) {
    if (count != 3 || (strcmp(words[1], "echo") != 0 && strcmp(words[1], "calc") != 0)) {
        fprintf(stderr, "usage: epoll echo|calc PORT\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    calculates = strcmp(words[1], "calc") == 0;
    int listener = listen_on((uint16_t)atoi(words[2]));
    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (poll_fd < 0) fail("epoll_create1");
    wait_for(listener, EPOLLIN, EPOLL_CTL_ADD);
    for (;;) {
        static struct epoll_event events[EVENTS];
        int n = epoll_wait(poll_fd, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) accept_all(listener);
            else if (!serve(fd, events[i].events)) close_connection(fd);
        }
    }
}
