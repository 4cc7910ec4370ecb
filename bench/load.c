/* A closed loop of buyers, cheap enough to keep a server busy from one other core: load.py in C, which says what both do. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 1024, BUCKETS = 10000, BUCKET_US = 100, LIMIT_US = 500000, FRAME = 88, BUFFER = 4096 };

struct buyer {
    int fd, have, sent;
    uint8_t in[BUFFER];
    uint8_t *next, *end;
    int64_t asked_us;
};

static struct buyer buyers[MOST];
static uint64_t asked, answers, late, codes[256], waits[BUCKETS];
static int64_t worst_us, window_us; /* what was asked before a window began has waited for us, not for the server */
static long price_e4, step_e4, swing;
static uint8_t frame[FRAME];

static void fail(const char *what) { perror(what); exit(1); }

static int64_t now_us(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static double server_cpu_s(long pid) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    FILE *file = fopen(path, "r");
    if (!file) fail(path);
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = 0;
    char *after = strrchr(text, ')');
    unsigned long user = 0, kernel = 0;
    if (!after || sscanf(after + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel) != 2)
        fail("stat");
    return (double)(user + kernel) / sysconf(_SC_CLK_TCK);
}

static int connect_to(int port) {
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address)) fail("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

/* Send the next frame; 0 when there is none left. */
static int ask(struct buyer *buyer) {
    uint8_t *data = frame;
    uint32_t size = FRAME;
    if (buyer->end) {
        if (buyer->next >= buyer->end) return 0;
        data = buyer->next;
        memcpy(&size, data, 4);
        size += 4;
        buyer->next += size;
    } else {
        uint64_t id = ++asked;
        double price = (double)(price_e4 + step_e4 * (long)(swing ? id % swing : id)) / 10000.0;
        memcpy(frame + 5, &id, 8);
        memcpy(frame + 22, &price, 8);
    }
    buyer->asked_us = now_us(CLOCK_MONOTONIC);
    if (send(buyer->fd, data, size, 0) != (ssize_t)size) fail("send");
    return 1;
}

static void count_answer(struct buyer *buyer, uint8_t code) {
    int64_t waited_us = buyer->asked_us < window_us ? 0 : now_us(CLOCK_MONOTONIC) - buyer->asked_us;
    waits[waited_us / BUCKET_US < BUCKETS ? waited_us / BUCKET_US : BUCKETS - 1]++;
    if (waited_us > worst_us) worst_us = waited_us;
    if (waited_us > LIMIT_US) late++;
    codes[code]++;
    answers++;
}

/* Whether a frame of this type ends a wait: Register, (echoed) Bid, Accept or Reject; the rest is pushed. */
static int is_answer(uint8_t type) { return type == 0 || type == 3 || type == 4 || type == 6; }

/* Read what came; 1 when an answer did, -1 when the server closed. */
static int hear(struct buyer *buyer) {
    ssize_t size = recv(buyer->fd, buyer->in + buyer->have, BUFFER - buyer->have, 0);
    if (size <= 0) return -1;
    buyer->have += size;
    int heard = 0, start = 0;
    for (uint32_t need; buyer->have - start >= 4; start += need) {
        memcpy(&need, buyer->in + start, 4);
        need += 4;
        if (need > BUFFER) fail("frame");
        if ((uint32_t)(buyer->have - start) < need) break;
        if (is_answer(buyer->in[start + 4])) heard = 1, count_answer(buyer, buyer->in[start + 62]);
    }
    memmove(buyer->in, buyer->in + start, buyer->have -= start);
    return heard;
}

static double wait_ms(double share) {
    uint64_t passed = 0;
    for (int bucket = 0; bucket < BUCKETS; bucket++)
        if ((passed += waits[bucket]) >= share * answers) return (bucket + 1) * BUCKET_US / 1000.0;
    return 0;
}

/* Exchange frames until `until_us` or until nobody has one left; 1 when the server closed a connection. */
static int trade(int poll, int count, int64_t until_us) {
    static struct epoll_event events[MOST];
    static int active = 0;
    if (!active)
        for (int i = 0; i < count; i++) active += ask(&buyers[i]);
    /* A client that slept would have the server pay for waking it, the more the slower the server is. */
    while (active && now_us(CLOCK_MONOTONIC) < until_us) {
        int ready = epoll_wait(poll, events, MOST, 0);
        for (int i = 0; i < ready; i++) {
            struct buyer *buyer = events[i].data.ptr;
            int heard = hear(buyer);
            if (heard < 0) return 1;
            if (heard && !ask(buyer)) active--;
        }
    }
    return 0;
}

static void read_frames(const char *path, int count) {
    FILE *file = fopen(path, "rb");
    if (!file) fail(path);
    for (int i = 0; i < count; i++) {
        uint32_t size;
        if (fread(&size, 4, 1, file) != 1) fail("frames");
        buyers[i].next = malloc(size);
        if (!buyers[i].next || fread(buyers[i].next, 1, size, file) != size) fail("frames");
        buyers[i].end = buyers[i].next + size;
    }
    fclose(file);
}

static void measure(long pid, int poll, int count, double seconds) {
    answers = late = worst_us = 0;
    memset(codes, 0, sizeof codes);
    memset(waits, 0, sizeof waits);
    double cpu_s = server_cpu_s(pid);
    int64_t own_us = now_us(CLOCK_PROCESS_CPUTIME_ID);
    window_us = now_us(CLOCK_MONOTONIC);
    int closed = trade(poll, count, window_us + (int64_t)(seconds * 1e6));
    cpu_s = server_cpu_s(pid) - cpu_s;
    double took_s = (now_us(CLOCK_MONOTONIC) - window_us) / 1e6;
    double own_s = (now_us(CLOCK_PROCESS_CPUTIME_ID) - own_us) / 1e6;
    printf("{\"answers\": %llu, \"seconds\": %.6f, \"server_cpu_s\": %.3f, \"client_cpu_s\": %.3f, \"closed\": %s, "
           "\"late\": %llu, \"p50_ms\": %.1f, \"p99_ms\": %.1f, \"worst_ms\": %.3f, \"codes\": {",
           (unsigned long long)answers, took_s, cpu_s, own_s, closed ? "true" : "false",
           (unsigned long long)late, wait_ms(0.5), wait_ms(0.99), worst_us / 1000.0);
    for (int code = 0, first = 1; code < 256; code++)
        if (codes[code]) printf("%s\"%d\": %llu", first ? "" : ", ", code, (unsigned long long)codes[code]), first = 0;
    printf("}}\n");
    fflush(stdout);
}

int main(int argc, char **argv) {
    if (argc != 9) { fprintf(stderr, "usage: see load.py\n"); return 2; }
    int port = atoi(argv[1]), count = atoi(argv[3]);
    double energy = atol(argv[4]) / 1000.0;
    price_e4 = atol(argv[5]); step_e4 = atol(argv[6]); swing = atol(argv[7]);
    if (count > MOST) return 2;
    frame[0] = FRAME - 4; frame[4] = 3; frame[21] = 5;
    memcpy(frame + 54, &energy, 8);
    int poll = epoll_create1(0);
    for (int i = 0; i < count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &buyers[i]};
        buyers[i].fd = connect_to(port);
        if (epoll_ctl(poll, EPOLL_CTL_ADD, buyers[i].fd, &event)) fail("epoll_ctl");
    }
    if (argv[8][0]) read_frames(argv[8], count);
    for (char line[64]; fgets(line, sizeof line, stdin);) measure(atol(argv[2]), poll, count, atof(line));
    return 0;
}
