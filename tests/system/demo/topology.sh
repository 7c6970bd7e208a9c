# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Network namespaces of the demonstration. Sourced by ./demo and by the system tests.
#
#   client 192.168.77.2 --- NAT 203.0.113.20 ---+
#                                               |   public side (a bridge)
#   portal 203.0.113.10 ------------------------+--- 203.0.113.30 gateway 10.77.0.1 --- web 10.77.0.5
#
# and the same in IPv6: 2001:db8:77::/64 public, fd77:1::/64 client, fd77:2::/64 private.
#
# Names start with $NS (default "spdemo"); files for a namespace live in /etc/netns/$NS-*.

NS=${NS:-spdemo}
NS_ROLES="pub cnat client gw web"

in_ns() { # in_ns ROLE COMMAND...
    local role=$1
    shift
    ip netns exec "$NS-$role" "$@"
}

link() { # link ROLE_A IF_A ROLE_B IF_B: a cable between two namespaces
    ip link add "$2" netns "$NS-$1" type veth peer name "$4" netns "$NS-$3"
    ip -n "$NS-$1" link set "$2" up
    ip -n "$NS-$3" link set "$4" up
}

address() { # address ROLE IF ADDRESS...
    local role=$1 dev=$2 a
    shift 2
    for a in "$@"; do
        case "$a" in
        *:*) ip -n "$NS-$role" addr add "$a" dev "$dev" nodad ;;
        *) ip -n "$NS-$role" addr add "$a" dev "$dev" ;;
        esac
    done
}

public_port() { # public_port ROLE IF: plug an interface into the public bridge
    ip link add "$2" netns "$NS-$1" type veth peer name "p-$1" netns "$NS-pub"
    ip -n "$NS-pub" link set "p-$1" master public up
    ip -n "$NS-$1" link set "$2" up
}

topology_up() {
    local role
    for role in $NS_ROLES; do
        ip netns add "$NS-$role"
        ip -n "$NS-$role" link set lo up
        # Addresses are usable at once, nobody waits for duplicate address detection.
        in_ns "$role" sysctl -q -w net.ipv6.conf.all.accept_dad=0 \
            net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.disable_ipv6=0 || return 1
        mkdir -p "/etc/netns/$NS-$role"
    done

    ip -n "$NS-pub" link add public type bridge
    ip -n "$NS-pub" link set public up
    address pub public 203.0.113.10/24 2001:db8:77::10/64
    public_port cnat out
    public_port gw out
    address cnat out 203.0.113.20/24 2001:db8:77::20/64
    address gw out 203.0.113.30/24 2001:db8:77::30/64

    link client eth0 cnat in
    address client eth0 192.168.77.2/24 fd77:1::2/64
    address cnat in 192.168.77.1/24 fd77:1::1/64
    ip -n "$NS-client" route add default via 192.168.77.1
    ip -n "$NS-client" -6 route add default via fd77:1::1
    in_ns cnat sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    in_ns cnat nft -f - <<'END'
table inet edge {
    chain post {
        type nat hook postrouting priority srcnat;
        oifname "out" masquerade
    }
    chain forward {
        type filter hook forward priority filter; policy drop;
        iifname "in" accept
        ct state established,related accept
    }
}
END

    link gw lan web eth0
    address gw lan 10.77.0.1/24 fd77:2::1/64
    address web eth0 10.77.0.5/24 fd77:2::5/64
    # The private network knows nobody but its own router: what arrives was masqueraded.

    echo "nameserver 203.0.113.10" >"/etc/netns/$NS-client/resolv.conf"
    echo "nameserver 203.0.113.10" >"/etc/netns/$NS-gw/resolv.conf"
    cat >"/etc/netns/$NS-gw/hosts" <<'END'
127.0.0.1 localhost
10.77.0.5 wiki.demo.internal
fd77:2::5 wiki.demo.internal
END
    echo "127.0.0.1 localhost" >"/etc/netns/$NS-client/hosts"
}

topology_down() {
    local role
    for role in $NS_ROLES; do
        ip netns del "$NS-$role" 2>/dev/null
        rm -rf "/etc/netns/$NS-$role"
    done
    rmdir /etc/netns 2>/dev/null
    return 0
}
