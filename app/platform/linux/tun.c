/* SPDX-License-Identifier: Apache-2.0 */
#include "app/platform/tun.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include "app/platform/error.h"
#include "app/platform/offload.h"

#define NODE_PATH "/dev/net/tun"

struct sp_tun {
    int fd;
    unsigned offloads; /* what the device grants */
    unsigned merging;  /* what we still use of it for writing */
    char name[SP_TUN_NAME_MAX + 1];
    const struct sp_log *log;
    struct sp_tun_stats stats;
    struct sp_coalescer coalescer;
    uint8_t buf[SP_VNET_HEADER + 65535];
};

static int
open_node(void)
{
    int fd = open(NODE_PATH, O_RDWR | O_CLOEXEC);

    if (fd >= 0 || errno != ENOENT)
        return fd;
    /* Containers often come without the node. */
    if (mkdir("/dev/net", 0751) < 0 && errno != EEXIST)
        return -1;
    if (mknod(NODE_PATH, S_IFCHR | 0600, makedev(10, 200)) < 0 && errno != EEXIST)
        return -1;
    return open(NODE_PATH, O_RDWR | O_CLOEXEC);
}

static int
attach(struct sp_tun *tun, const char *name)
{
    struct ifreq ifr = { 0 };

    memcpy(ifr.ifr_name, name, strlen(name));
    /* No multi-queue: with it, opening a name in use would silently become a second queue. */
    ifr.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
    if (ioctl(tun->fd, TUNSETIFF, &ifr) < 0)
        return -errno;
    memcpy(tun->name, ifr.ifr_name, SP_TUN_NAME_MAX);
    return 0;
}

static void
probe_offloads(struct sp_tun *tun)
{
    /* USO came with Linux 6.2; the kernel takes all or nothing. */
    static const unsigned tries[] = {
        SP_TUN_CSUM | SP_TUN_TSO4 | SP_TUN_TSO6 | SP_TUN_USO4 | SP_TUN_USO6,
        SP_TUN_CSUM | SP_TUN_TSO4 | SP_TUN_TSO6,
        0,
    };

    for (size_t i = 0; i < SP_ARRAY_SIZE(tries); i++) {
        if (ioctl(tun->fd, TUNSETOFFLOAD, (unsigned long)tries[i]) == 0) {
            tun->offloads = tun->merging = tries[i];
            break;
        }
    }
    SP_INFO(tun->log, DRIVER, "tun: offloads 0x%02x", tun->offloads);
}

static int
set_up(struct sp_tun *tun, const char *name, GError **error)
{
    int r, flags;

    tun->fd = open_node();
    if (tun->fd < 0)
        return sp_platform_error_set(error, errno, "cannot open " NODE_PATH);
    r = attach(tun, name);
    if (r == -EINVAL) /* the name is a device of another kind, for example multi-queue */
        r = -EBUSY;
    if (r < 0)
        return sp_platform_error_set(error, -r, "cannot create interface %s", name);
    probe_offloads(tun);
    flags = fcntl(tun->fd, F_GETFL);
    if (flags < 0 || fcntl(tun->fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return sp_platform_error_set(error, errno, "cannot set up interface %s", name);
    return 0;
}

int
sp_tun_new(const char *name, const struct sp_log *log, struct sp_tun **ret_tun, GError **error)
{
    struct sp_tun *tun;
    int r;

    if (!name || !*name || strlen(name) > SP_TUN_NAME_MAX || strpbrk(name, "/%: \t\n")) {
        g_set_error(error,
                    SP_PLATFORM_ERROR,
                    SP_PLATFORM_ERROR_INVALID,
                    "\"%s\" is not an interface name",
                    name ? name : "");
        return -EINVAL;
    }
    tun = sp_xcalloc(1, sizeof *tun);
    tun->fd = -1;
    tun->log = log;
    r = set_up(tun, name, error);
    if (r < 0) {
        sp_tun_free(tun);
        return r;
    }
    *ret_tun = tun;
    return 0;
}

void
sp_tun_free(struct sp_tun *tun)
{
    if (!tun)
        return;
    if (tun->fd >= 0)
        close(tun->fd);
    free(tun);
}

const char *
sp_tun_name(const struct sp_tun *tun)
{
    return tun->name;
}

int
sp_tun_fd(const struct sp_tun *tun)
{
    return tun->fd;
}

unsigned
sp_tun_offloads(const struct sp_tun *tun)
{
    return tun->offloads;
}

const struct sp_tun_stats *
sp_tun_get_stats(const struct sp_tun *tun)
{
    return &tun->stats;
}

static void
take_burst(struct sp_tun *tun, size_t n, struct sp_pkt_pool *pool, struct sp_pkt_queue *out)
{
    uint64_t exhausted = pool->exhausted;
    struct sp_vnet_hdr hdr;
    int r;

    tun->stats.reads++;
    if (n <= SP_VNET_HEADER) {
        tun->stats.dropped++;
        return;
    }
    memcpy(&hdr, tun->buf, sizeof hdr);
    r = sp_split(&hdr, tun->buf + SP_VNET_HEADER, n - SP_VNET_HEADER, pool, out);
    if (r < 0) {
        tun->stats.dropped++;
        SP_DEBUG(tun->log, DRIVER, "tun: unusable read of %zu bytes, type %u", n, hdr.gso_type);
        return;
    }
    tun->stats.read_packets += (uint64_t)r;
    tun->stats.read_bytes += n - SP_VNET_HEADER;
    tun->stats.no_memory += pool->exhausted - exhausted;
}

int
sp_tun_read(struct sp_tun *tun, struct sp_pkt_pool *pool, struct sp_pkt_queue *out)
{
    ssize_t n;

    do
        n = read(tun->fd, tun->buf, sizeof tun->buf);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? 0 : -errno;
    if (n == 0)
        return -EIO;
    take_burst(tun, (size_t)n, pool, out);
    return 1;
}

static size_t
fill_iov(struct sp_coalesce_item *item, struct iovec *iov)
{
    size_t n = 0;

    iov[n++] = (struct iovec){ &item->hdr, sizeof item->hdr };
    iov[n++] = (struct iovec){ sp_pkt_data(item->head), item->head->len };
    for (struct sp_pkt *pkt = item->head->next; pkt; pkt = pkt->next)
        iov[n++] =
            (struct iovec){ sp_pkt_data(pkt) + item->hdr_len, (size_t)pkt->len - item->hdr_len };
    return n;
}

static void
note_error(struct sp_tun *tun, const struct sp_coalesce_item *item, int err)
{
    tun->stats.write_errors++;
    SP_DEBUG(tun->log, DRIVER, "tun: write failed: %s", g_strerror(err));
    if (err == EINVAL && item->count > 1 && tun->merging) {
        tun->merging = 0;
        SP_WARN(tun->log, DRIVER, "tun: merged packet refused, merging is off from now on");
    }
}

static void
write_item(struct sp_tun *tun, struct sp_coalesce_item *item)
{
    struct iovec iov[2 + SP_COALESCE_TCP_MAX];
    size_t n = fill_iov(item, iov);
    ssize_t r;

    do
        r = writev(tun->fd, iov, (int)n);
    while (r < 0 && errno == EINTR);
    if (r < 0) {
        note_error(tun, item, errno);
    } else {
        tun->stats.writes++;
        tun->stats.written_packets += item->count;
        tun->stats.written_bytes += item->total;
    }
    while (item->head) {
        struct sp_pkt *next = item->head->next;

        sp_pkt_free(item->head);
        item->head = next;
    }
}

void
sp_tun_write_batch(struct sp_tun *tun, struct sp_pkt_queue *batch)
{
    struct sp_coalescer *c = &tun->coalescer;

    while (batch->len) {
        sp_coalesce_begin(c, tun->merging);
        for (size_t i = 0; i < SP_COALESCE_BATCH && batch->len; i++)
            sp_coalesce_push(c, sp_pkt_queue_pop(batch));
        sp_coalesce_finish(c);
        for (size_t i = 0; i < c->len; i++)
            write_item(tun, &c->items[i]);
    }
}
