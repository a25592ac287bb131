#!/usr/bin/env bash
# A real SLURM of one node on the loopback interface, for `make test-slow` and for trying `floss sbatch` by hand.
#
#     scripts/slurm_node.sh start FOLDER    keys, configuration, states and logs of the cluster go into FOLDER
#     scripts/slurm_node.sh stop FOLDER
#
# Needs root, and Debian's packages slurm-wlm and munge (tried with 22.05); no network. Every command that is to speak
# with this cluster needs SLURM_CONF=FOLDER/slurm.conf. Accounting is off, as on a small cluster.
set -euo pipefail

usage() { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }

[ $# -eq 2 ] || usage
action=$1
mkdir -p "$2"
folder=$(cd "$2" && pwd)
export SLURM_CONF=$folder/slurm.conf

stop_daemon() { # by its pid file; waits until it is gone
    local pid
    pid=$(cat "$1" 2>/dev/null) || return 0
    kill "$pid" 2>/dev/null || return 0
    for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || return 0; sleep 0.1; done
    kill -9 "$pid" 2>/dev/null || true
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

start() {
    for program in munged slurmctld slurmd sinfo; do
        command -v "$program" >/dev/null || { echo "slurm_node.sh: no $program; install slurm-wlm and munge" >&2; exit 2; }
    done
    [ "$(id -u)" = 0 ] || { echo "slurm_node.sh: the daemons need root" >&2; exit 2; }
    mkdir -p "$folder"/{munge,state,spool,log}
    # munged looks at every folder above its key and socket, and takes none that others may write to
    chmod 755 "$folder" "$folder/munge"
    head -c 1024 /dev/urandom > "$folder/munge/munge.key"
    chmod 400 "$folder/munge/munge.key"
    munged --force --key-file="$folder/munge/munge.key" --socket="$folder/munge/socket" --pid-file="$folder/munge/pid" \
        --log-file="$folder/log/munged.log" --seed-file="$folder/munge/seed"
    local host memory cpus
    host=$(hostname -s)
    memory=$(awk '/MemTotal/ {print int($2 / 1024 * 0.8)}' /proc/meminfo)
    cpus=$(slurmd -C | sed -n 's/.*CPUs=\([0-9]*\).*/\1/p')
    cat > "$SLURM_CONF" <<CONF
ClusterName=loopback
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket
CredType=cred/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=requeue_setup_env_fail,bf_interval=1,sched_interval=2
ReturnToService=2
KillWait=10
MinJobAge=300
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cpus RealMemory=$memory State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
    slurmctld
    slurmd -N "$host"
    for _ in $(seq 100); do
        [ "$(sinfo --noheader --format=%t 2>/dev/null)" = idle ] && { echo "SLURM_CONF=$SLURM_CONF"; return; }
        sleep 0.2
    done
    echo "slurm_node.sh: the node does not become idle; see $folder/log" >&2
    exit 1
}

stop() {
    scancel --user="$(id -un)" 2>/dev/null || true
    stop_daemon "$folder/slurmd.pid"
    stop_daemon "$folder/slurmctld.pid"
    stop_daemon "$folder/munge/pid"
}

case $action in
    start) start ;;
    stop) stop ;;
    *) usage ;;
esac
