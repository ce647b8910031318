#!/usr/bin/env bash
# A Slurm of one node on this machine, for tests: real daemons, the loopback interface, two pretended GPUs, no
# accounting. Debian, as root; needs the packages slurmctld, slurmd, slurm-client and munge.
#   mini_slurm.sh up DIRECTORY      start it; /etc/slurm/slurm.conf exists until `down`
#   mini_slurm.sh down DIRECTORY    stop it
set -euo pipefail
state=$2
host=$(hostname -s)

configure() {
  mkdir -p "$state" /etc/slurm
  # slurmd takes nothing but a character device for a GPU
  for card in 0 1; do mknod "$state/gpu$card" c 1 3; done
  (umask 077 && head -c 1024 /dev/urandom >"$state/munge.key")
  # no cgroup is touched, as in a container: v1 only loads, and linuxproc finds a job's processes by parenthood
  echo "CgroupPlugin=cgroup/v1" >/etc/slurm/cgroup.conf
  echo "Name=gpu File=$state/gpu[0-1] Flags=nvidia_gpu_env AutoDetect=off" >/etc/slurm/gres.conf
  # jobs look for the file in its default place, whatever SLURM_CONF says. The node claims more than the machine may
  # have (config_overrides): what a study asks for is tested, not what it uses.
  cat >/etc/slurm/slurm.conf <<CONF
ClusterName=mini
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
SlurmctldPort=16817
SlurmdPort=16818
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
AuthType=auth/munge
AuthInfo=socket=$state/munge.socket
StateSaveLocation=$state
SlurmdSpoolDir=$state/spool
SlurmctldPidFile=$state/slurmctld.pid
SlurmdPidFile=$state/slurmd.pid
SlurmctldLogFile=$state/slurmctld.log
SlurmdLogFile=$state/slurmd.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
MailProg=/bin/true
ReturnToService=2
KillWait=2
MinJobAge=3600
SchedulerParameters=sched_interval=2,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
GresTypes=gpu
NodeName=$host NodeAddr=127.0.0.1 CPUs=4 CoresPerSocket=4 RealMemory=64000 Gres=gpu:2
PartitionName=cpu Nodes=$host Default=YES
PartitionName=gpu Nodes=$host
CONF
}

up() {
  configure
  munged --force --key-file="$state/munge.key" --socket="$state/munge.socket" --pid-file="$state/munged.pid" \
    --log-file="$state/munged.log" --seed-file="$state/munge.seed"
  slurmctld
  slurmd -N "$host"
  for _ in {1..100}; do
    if [ "$(sinfo --noheader --format %T 2>/dev/null | sort -u)" = idle ]; then return; fi
    sleep 0.2
  done
  echo "mini_slurm.sh: no idle node after 20 s; see the logs in $state" >&2
  return 1
}

down() {
  scancel --user root --quiet || true
  for _ in {1..50}; do
    if [ -z "$(squeue --noheader --states running,completing)" ]; then break; fi
    sleep 0.2
  done
  # without a controller every Slurm command waits as long as this file is there
  rm -f /etc/slurm/{slurm,gres,cgroup}.conf
  for daemon in slurmd slurmctld munged; do
    if [ -s "$state/$daemon.pid" ]; then end "$(cat "$state/$daemon.pid")"; fi
  done
}

end() {
  kill "$1" 2>/dev/null || return 0
  for _ in {1..50}; do
    grep -q . "/proc/$1/cmdline" 2>/dev/null || return 0 # gone, or dead and only not yet waited for
    sleep 0.2
  done
  kill -KILL "$1" || true
}

"$1"
