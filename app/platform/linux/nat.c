/* SPDX-License-Identifier: Apache-2.0 */
#include "app/platform/nat.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <nftables/libnftables.h>

#include "app/platform/error.h"
#include "app/platform/tun.h"

#define PEERS4 "100.64.0.0/11"
#define PEERS6 "fd00:2021:1111::/107"

static const char *const switches[] = {
    "/proc/sys/net/ipv4/ip_forward",
    "/proc/sys/net/ipv6/conf/all/forwarding",
};

struct sp_nat {
    char *table;
    const struct sp_log *log;
    bool changed[G_N_ELEMENTS(switches)]; /* was off before us */
};

/* ---- forwarding ---- */

static int
read_switch(const char *path)
{
    char c = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return -errno;
    n = read(fd, &c, 1);
    close(fd);
    return n == 1 ? c != '0' : -EIO;
}

static int
write_switch(const char *path, bool on)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC), r = 0;

    if (fd < 0)
        return -errno;
    if (write(fd, on ? "1" : "0", 1) != 1)
        r = -errno;
    close(fd);
    return r;
}

static int
forwarding_on(struct sp_nat *nat, GError **error)
{
    for (size_t i = 0; i < G_N_ELEMENTS(switches); i++) {
        int r = read_switch(switches[i]);

        if (r > 0 || r == -ENOENT) /* without IPv6 there is no switch and no need */
            continue;
        if (r == 0)
            r = write_switch(switches[i], true);
        if (r < 0)
            return sp_platform_error_set(error, -r, "cannot turn forwarding on");
        nat->changed[i] = true;
    }
    return 0;
}

static void
forwarding_restore(struct sp_nat *nat)
{
    for (size_t i = 0; i < G_N_ELEMENTS(switches); i++)
        if (nat->changed[i] && write_switch(switches[i], false) < 0)
            SP_WARN(nat->log, DRIVER, "nat: forwarding stays on");
}

/* ---- the table ---- */

/* A buffer is one transaction: all of it happens or nothing. */
static int
run_nft(const char *script, GError **error)
{
    struct nft_ctx *ctx = nft_ctx_new(NFT_CTX_DEFAULT);
    int r;

    if (!ctx)
        return sp_platform_error_set(error, ENOMEM, "cannot use nftables");
    nft_ctx_buffer_error(ctx);
    nft_ctx_buffer_output(ctx);
    r = nft_run_cmd_from_buffer(ctx, script);
    if (r) {
        g_autofree char *text = g_strdup(nft_ctx_get_error_buffer(ctx));

        g_set_error(error,
                    SP_PLATFORM_ERROR,
                    SP_PLATFORM_ERROR_FAILED,
                    "nftables refused the gateway table: %s",
                    g_strstrip(text));
    }
    nft_ctx_free(ctx);
    return r ? -EIO : 0;
}

static int
install_table(const struct sp_nat *nat, const char *tun, GError **error)
{
    /* Adding first makes deleting succeed whether a crashed run left the table or not. */
    g_autofree char *script =
        g_strdup_printf("add table inet %1$s\n"
                        "delete table inet %1$s\n"
                        "table inet %1$s {\n"
                        "  chain forward {\n"
                        "    type filter hook forward priority filter; policy accept;\n"
                        "    iifname \"%2$s\" accept\n"
                        "    oifname \"%2$s\" accept\n"
                        "  }\n"
                        "  chain postrouting {\n"
                        "    type nat hook postrouting priority srcnat; policy accept;\n"
                        "    oifname != \"%2$s\" ip saddr " PEERS4 " masquerade\n"
                        "    oifname != \"%2$s\" ip6 saddr " PEERS6 " masquerade\n"
                        "  }\n"
                        "}\n",
                        nat->table,
                        tun);

    return run_nft(script, error);
}

static void
remove_table(const struct sp_nat *nat)
{
    g_autofree char *script = g_strdup_printf("delete table inet %s\n", nat->table);
    g_autoptr(GError) error = NULL;

    if (run_nft(script, &error) < 0)
        SP_WARN(nat->log, DRIVER, "nat: table not removed");
}

static void
destroy(struct sp_nat *nat)
{
    g_free(nat->table);
    g_free(nat);
}

static bool
name_is_plain(const char *tun)
{
    size_t n = strlen(tun);

    /* The name goes into a script, so only what cannot end a string or a word there. */
    for (size_t i = 0; i < n; i++)
        if (!g_ascii_isalnum(tun[i]) && !strchr("-_.", tun[i]))
            return false;
    return n > 0 && n <= SP_TUN_NAME_MAX;
}

struct sp_nat *
sp_nat_new(const char *tun, const struct sp_log *log, GError **error)
{
    struct sp_nat *nat;

    if (!name_is_plain(tun)) {
        g_set_error(error,
                    SP_PLATFORM_ERROR,
                    SP_PLATFORM_ERROR_INVALID,
                    "\"%s\" is not usable in a firewall rule",
                    tun);
        return NULL;
    }
    nat = g_new0(struct sp_nat, 1);
    nat->log = log;
    nat->table = g_strdup_printf("sallyport_%s", tun);
    for (char *p = nat->table; *p; p++)
        if (*p == '-' || *p == '.')
            *p = '_';
    if (install_table(nat, tun, error) < 0) {
        destroy(nat);
        return NULL;
    }
    if (forwarding_on(nat, error) < 0) {
        sp_nat_free(nat);
        return NULL;
    }
    return nat;
}

void
sp_nat_free(struct sp_nat *nat)
{
    if (!nat)
        return;
    remove_table(nat);
    forwarding_restore(nat);
    destroy(nat);
}
