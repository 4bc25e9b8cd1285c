#!/bin/sh
# A CephFS on 127.0.0.1 that keeps its data in memory, for tests: `cephfs.sh FOLDER PORT`. All of it is below FOLDER.
# CANFAR_RUN_TEST_CEPHFS_CONF has more lines for its configuration, such as `mds_tick_interval = 0.1`: where two clients
# contend for a name, calls wait for the server's tick, which is 5 s.
#
# Says `ready` when it is up. Then each line `SPACE CLIENT` of standard input asks for a client of its own, with a cache of
# its own, that mounts the folder SPACE of the file system at FOLDER/SPACE/CLIENT; its number is in FOLDER/SPACE/CLIENT.pid.
# With the end of standard input, also when whoever holds it is killed, all is taken down and FOLDER is removed.
set -eu
folder=$1 port=$2
cd "$folder"
mkdir run log mon mds osd base

take_down() {
    trap - EXIT
    # Clients have nothing to write back that anybody wants, and servers would wait for each other.
    for pid in $pids; do kill -KILL "$pid" 2> /dev/null || :; done
    wait
    # None is asked whether it is still there: who mounted it is dead.
    awk -v below="$folder/" 'index($2, below) == 1 {print $2}' /proc/mounts | while read -r mounted; do
        umount --lazy "$mounted"
    done
    cd /
    rm -rf --one-file-system "$folder"
    echo "taken down"
}

fail() {
    echo "CephFS does not come up: $1" >&2
    tail -n 15 log/* >&2
    exit 1
}

# start NAME PROGRAM ARG...: one that dies with this script.
pids=
start() {
    name=$1
    shift
    setpriv --pdeathsig KILL "$@" --conf "$folder/ceph.conf" -f < /dev/null > "log/$name.out" 2>&1 &
    pids="$pids $!"
}

mount_at() {
    start "$(echo "$1" | tr / -)" ceph-fuse --id "$3" -r "$2" "$folder/$1"
    echo "$!" > "$1.pid.new"
    mv "$1.pid.new" "$1.pid"
}

trap take_down EXIT
uuid=$(cat /proc/sys/kernel/random/uuid) osd=$(cat /proc/sys/kernel/random/uuid)
# One of each server, nobody has to prove who they are, and nothing is waited for that a large cluster waits for.
cat > ceph.conf <<END
[global]
fsid = $uuid
mon_host = [v2:127.0.0.1:$port/0]
public_network = 127.0.0.0/8
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_ipv6 = false
ms_bind_msgr1 = false
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
auth_allow_insecure_global_id_reclaim = false
run_dir = $folder/run
crash_dir = $folder/run
admin_socket = $folder/run/\$name.\$pid.asok
pid_file =
keyring = $folder/keyring
log_file = $folder/log/\$name.log
mon_cluster_log_file = $folder/log/cluster.log
mon_data = $folder/mon
mds_data = $folder/mds
osd_data = $folder/osd
osd_objectstore = memstore
memstore_device_bytes = 1073741824
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
osd_class_update_on_start = false
mon_allow_pool_size_one = true
mon_data_avail_crit = 1
paxos_min_wait = 0.01
paxos_propose_interval = 0.05
mds_beacon_interval = 0.5
${CANFAR_RUN_TEST_CEPHFS_CONF:-}
END

{
    monmaptool --create --fsid "$uuid" --addv a "[v2:127.0.0.1:$port]" monmap
    ceph-mon --conf ceph.conf --id a --mkfs --monmap monmap
} > log/monmap.out 2>&1 || fail "the monitor has no map"
start mon ceph-mon --id a
start mds ceph-mds --id a
# One client for all of it, for it is slow to start. A client that is silent for 30 s is given up: no shorter time can be set.
timeout 60 ceph --conf ceph.conf --connect-timeout 60 > log/setup.out 2>&1 <<END || fail "the monitor does not answer"
osd new $osd
osd pool create meta 8
osd pool create data 8
fs new arc meta data
fs set arc session_timeout 30
END
ceph-osd --conf ceph.conf --id 0 --mkfs --osd-uuid "$osd" > log/osd-mkfs.out 2>&1 || fail "no osd"
start osd ceph-osd --id 0
servers=$pids
looks=0
until grep -q " $folder/base fuse" /proc/mounts; do
    for pid in $servers; do kill -0 "$pid" 2> /dev/null || fail "one of its servers died"; done
    # A client that finds no active metadata server gives up at once.
    [ -e base.pid ] && kill -0 "$(cat base.pid)" 2> /dev/null || mount_at base / base
    looks=$((looks + 1))
    [ $looks -lt 600 ] || fail "no mount within a minute"
    sleep 0.1
done
echo ready

while read -r space client; do
    mkdir -p "base/$space" "$space/$client"
    mount_at "$space/$client" "/$space" "$space-$client"
done
