#!/bin/sh
# Records phone.pcap: a phone behind a gateway, with real clients and servers, in network namespaces that have no
# way out. Needs root, tcpdump, dnsmasq, nginx, curl, dig, dhclient, openssl, iproute2, ethtool.
#
#   ./record.sh OUTPUT.pcap
set -eu
out=$(realpath "${1:?name the capture to write}")

if [ "${TELLTALE_RECORDING:-}" != yes ]; then
    # All that follows happens in namespaces of its own, and ends with them.
    TELLTALE_RECORDING=yes exec unshare --net --mount --pid --fork --kill-child --mount-proc "$0" "$out"
fi

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mount -t tmpfs tmpfs /run
mkdir /run/netns

quiet() { "$@" >/dev/null 2>&1; }

# The gateway is the namespace this runs in; the phone and the Internet are others.
ip netns add phone
ip netns add internet
ip link set lo up
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
ip link add lan address 02:aa:00:00:00:01 type veth peer name wlan0 netns phone address 7c:03:ab:12:34:56
ip link add wan type veth peer name eth0 netns internet
for at in "lan" "wan" "-n phone wlan0" "-n internet eth0"; do
    case $at in
    -n*) set -- $at; ip -n "$2" link set lo up; ip -n "$2" link set "$3" up; ip netns exec "$2" ethtool -K "$3" tso off gso off gro off tx off >/dev/null ;;
    *) ip link set "$at" up; ethtool -K "$at" tso off gso off gro off tx off >/dev/null ;;
    esac
done
ip addr add 192.168.7.1/24 dev lan
ip addr add fd07::1/64 dev lan nodad
ip addr add 161.117.71.1/24 dev wan
ip addr add 2001:db8:71::1/64 dev wan nodad
ip -n internet addr add 161.117.71.36/24 dev eth0
ip -n internet addr add 2001:db8:71::36/64 dev eth0 nodad
ip -n internet route add default via 161.117.71.1
ip -n internet -6 route add default via 2001:db8:71::1
ip -n phone addr add fd07::20/64 dev wlan0 nodad
ip -n phone -6 route add default via fd07::1

cat >"$dir/dnsmasq.conf" <<CONF
no-resolv
no-hosts
interface=lan
bind-interfaces
dhcp-range=192.168.7.20,192.168.7.20,1h
dhcp-leasefile=$dir/leases
host-record=sg.api.example,161.117.71.36,2001:db8:71::36
cname=data.mistat.intl.xiaomi.com,sg.api.example
host-record=www.example.org,161.117.71.36
host-record=six.example.org,2001:db8:71::36
CONF
dnsmasq --conf-file="$dir/dnsmasq.conf" --pid-file="$dir/dnsmasq.pid" --user=root

openssl req -quiet -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test -keyout "$dir/key" -out "$dir/cert" 2>/dev/null \
    || openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test -keyout "$dir/key" -out "$dir/cert" 2>/dev/null
mkdir "$dir/root"
head -c 30000 /dev/urandom >"$dir/root/page"
cat >"$dir/nginx.conf" <<CONF
pid $dir/nginx.pid;
user root;
events {}
http {
    access_log off;
    server {
        listen 80; listen [::]:80; listen 443 ssl; listen [::]:443 ssl;
        ssl_certificate $dir/cert; ssl_certificate_key $dir/key;
        root $dir/root;
        location /track { client_max_body_size 1m; return 204; }
    }
}
CONF
ip netns exec internet nginx -c "$dir/nginx.conf" -e "$dir/nginx.log"

tcpdump -i lan -w "$out" -U --time-stamp-precision=nano -Z root 2>/dev/null &
tcpdump=$!
sleep 1

head -c 12000 /dev/urandom >"$dir/body"
cat >"$dir/dhclient.conf" <<CONF
send host-name "RedmiNote8-Redmi";
send vendor-class-identifier "android-dhcp-10";
CONF
# What the phone does.
cat >"$dir/phone.sh" <<PHONE
set -eu
mkdir -p /run/dhcp
dhclient -4 -1 -cf $dir/dhclient.conf -sf /bin/true -lf /run/dhcp/leases -pf /run/dhcp/pid wlan0
ip addr add 192.168.7.20/24 dev wlan0
ip route add default via 192.168.7.1
ask() { dig +short +tries=1 @192.168.7.1 "\$@"; }
get() { curl -sk -o /dev/null --max-time 5 "\$@"; }
ask data.mistat.intl.xiaomi.com
get --resolve data.mistat.intl.xiaomi.com:443:161.117.71.36 --data-binary @$dir/body https://data.mistat.intl.xiaomi.com/track
ask www.example.org
get --resolve www.example.org:80:161.117.71.36 http://www.example.org/page
ask -t AAAA six.example.org
get --resolve "six.example.org:443:[2001:db8:71::36]" https://six.example.org/page
ping -c 2 -i 0.2 161.117.71.36
ping -c 1 -s 4000 161.117.71.36
PHONE
quiet ip netns exec phone sh "$dir/phone.sh"
sleep 1
kill -INT "$tcpdump"
wait "$tcpdump" || true
chmod 644 "$out"
