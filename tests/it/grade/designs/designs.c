/* designs.c: the classic designs in C, for the verdict of `grade` on designs.
 *
 *   designs iterative|thread|pool|fork|prefork|select|poll|epoll HOST PORT
 *
 * One receive is taken for one question: framing is not what these are for. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <unistd.h>

enum { WORKERS = 3, CLIENTS = 512 };

static int listener;

/* Answers one question; false if the client has left. */
static bool answer(int client) {
    char text[1024], reply[64] = "error\n", operator;
    double a, b;
    ssize_t size = recv(client, text, sizeof text - 1, 0);
    if (size <= 0) return false;
    text[size] = '\0';
    if (sscanf(text, "%lf %c %lf", &a, &operator, &b) == 3 && !(operator == '/' && b == 0))
        snprintf(reply, sizeof reply, "%.10g\n", operator == '+' ? a + b : operator == '-' ? a - b
                 : operator == '*' ? a * b : a / b);
    return send(client, reply, strlen(reply), MSG_NOSIGNAL) > 0;
}

static void talk(int client) {
    while (answer(client)) {}
    close(client);
}

static void *talk_alone(void *client) {
    talk((int)(intptr_t)client);
    return NULL;
}

static void *work(void *unused) {
    for (;;) talk(accept(listener, NULL, NULL));
    return unused;
}

static void loop_select(void) {
    fd_set all;
    FD_ZERO(&all);
    FD_SET(listener, &all);
    for (;;) {
        fd_set ready = all;
        select(FD_SETSIZE, &ready, NULL, NULL, NULL);
        for (int fd = 0; fd < FD_SETSIZE; fd++) {
            if (!FD_ISSET(fd, &ready)) continue;
            if (fd == listener) {
                int client = accept(listener, NULL, NULL);
                FD_SET(client, &all); /* a macro, which evaluates its argument more than once */
            } else if (!answer(fd)) FD_CLR(fd, &all), close(fd);
        }
    }
}

static void loop_poll(void) {
    struct pollfd all[CLIENTS] = {{.fd = listener, .events = POLLIN}};
    int count = 1;
    for (;;) {
        poll(all, (nfds_t)count, -1);
        for (int i = count - 1; i > 0; i--)
            if (all[i].revents && !answer(all[i].fd)) close(all[i].fd), all[i] = all[--count];
        if (all[0].revents && count < CLIENTS)
            all[count++] = (struct pollfd){.fd = accept(listener, NULL, NULL), .events = POLLIN};
    }
}

static void loop_epoll(void) {
    int all = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    epoll_ctl(all, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        epoll_wait(all, &event, 1, -1);
        int fd = event.data.fd;
        if (fd == listener) {
            event.data.fd = accept(listener, NULL, NULL);
            epoll_ctl(all, EPOLL_CTL_ADD, event.data.fd, &event);
        } else if (!answer(fd)) {
            close(fd);
        }
    }
}

int main(int count, char **words) {
    if (count != 4) return 2;
    const char *design = words[1];
    int on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(words[3]))};
    inet_pton(AF_INET, words[2], &address.sin_addr);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 128) < 0) {
        perror("listen");
        return 1;
    }
    signal(SIGCHLD, SIG_IGN);
    if (strcmp(design, "iterative") == 0) work(NULL);
    if (strcmp(design, "select") == 0) loop_select();
    if (strcmp(design, "poll") == 0) loop_poll();
    if (strcmp(design, "epoll") == 0) loop_epoll();
    pthread_t thread;
    if (strcmp(design, "pool") == 0) {
        for (int i = 1; i < WORKERS; i++) pthread_create(&thread, NULL, work, NULL);
        work(NULL);
    }
    if (strcmp(design, "prefork") == 0) {
        for (int i = 0; i < WORKERS; i++)
            if (fork() == 0) work(NULL);
        pause();
    }
    for (;;) {
        int client = accept(listener, NULL, NULL);
        if (strcmp(design, "fork") == 0) {
            if (fork() == 0) close(listener), talk(client), exit(0);
            close(client);
        } else {
            pthread_create(&thread, NULL, talk_alone, (void *)(intptr_t)client);
            pthread_detach(thread);
        }
    }
}
