/* thread.c: a server in plain C with a thread for each client, for scripts/measure-models.
 *
 *   thread PORT    returns every byte */

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void *serve(void *argument) {
    int client = (int)(intptr_t)argument;
    char buffer[4096];
    ssize_t size;
    while ((size = recv(client, buffer, sizeof buffer, 0)) > 0)
        if (send(client, buffer, (size_t)size, MSG_NOSIGNAL) != size) break;
    close(client);
    return NULL;
}

int main(int argc, char **argv) {
    int port = argc == 2 ? atoi(argv[1]) : 0, yes = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0) return perror("bind"), 1;
    if (listen(listener, 4096) < 0) return perror("listen"), 1;
    for (;;) {
        int client = accept(listener, NULL, NULL);
        pthread_t thread;
        if (client < 0) continue;
        setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)client) != 0) close(client);
        else pthread_detach(thread);
    }
}
