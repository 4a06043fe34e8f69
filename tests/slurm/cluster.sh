# A Slurm cluster for one test: slurmctld, slurmd and munged on loopback or on hosts joined by a virtual switch. Sourced first.
# shellcheck shell=bash
#
# The test starts again in namespaces of its own (network, processes, mounts, host name), with a /run of its own for every file:
# it can meet no other cluster, and whatever ends it, no process, file or interface of it is left.
set -euo pipefail

skip() { echo "SKIPPED: $*"; exit 77; } # CTest's SKIP_RETURN_CODE
if [[ -z ${EXPUNGE_TEST_NAMESPACE:-} ]]; then
  ((EUID == 0)) || skip "a test cluster needs root"
  for tool in slurmctld slurmd munged srun ip unshare; do
    command -v "$tool" >/dev/null ||
      skip "there is no $tool: install slurmctld slurmd slurm-client slurm-wlm-basic-plugins munge iproute2"
  done
  enter=(unshare --net --mount --pid --uts --ipc --fork --kill-child --mount-proc)
  "${enter[@]}" mount -t tmpfs tmpfs /run 2>/dev/null || skip "no namespaces can be made here (a container without CAP_SYS_ADMIN?)"
  # Nothing of a cluster that the test itself may run on.
  while read -r variable; do unset "$variable"; done < <(compgen -e | grep -E '^(SLURM|SBATCH|SRUN|OMPI|PMIX|EXPUNGE)_')
  EXPUNGE_TEST_NAMESPACE=1 exec "${enter[@]}" -- "$BASH" "$0" "$@"
fi

mount -t tmpfs tmpfs /run
mkdir /run/netns /run/lock
export TMPDIR=/run OMPI_MCA_btl=self,tcp
cluster=/run/cluster
hostname control
ip link set lo up
# With loopback alone, getaddrinfo finds no address to listen on, and mpirun no interface.
ip link add switch type bridge
ip addr add 10.77.0.100/24 dev switch
ip link set switch up

# on_host NAME COMMAND...: with that host's network and name.
on_host() { local host=$1; shift; nsenter --net="/run/netns/$host" unshare --uts -- sh -c 'hostname "$0"; exec "$@"' "$host" "$@"; }

# Hosts n1, n2, ... in network namespaces, joined to this one by a bridge; the cable of nI ends here in port pI.
make_hosts() { # NUMBER
  local i
  echo "10.77.0.100 control" >>"$cluster/hosts"
  for ((i = 1; i <= $1; ++i)); do
    ip netns add "n$i"
    ip link add "p$i" type veth peer name eth0 netns "n$i"
    ip link set "p$i" master switch up
    ip -n "n$i" addr add "10.77.0.$i/24" dev eth0
    ip -n "n$i" link set eth0 up
    ip -n "n$i" link set lo up
    echo "10.77.0.$i n$i" >>"$cluster/hosts"
  done
}

write_settings() { # NODES PLACE
  local i place
  printf 'CgroupPlugin=cgroup/v1\n' >"$cluster/cgroup.conf" # slurmd then starts with or without /sys/fs/cgroup
  # Pretend GPUs are /dev/null under other names: Slurm counts them and sets CUDA_VISIBLE_DEVICES.
  mknod "$cluster/gpu0" c 1 3
  mknod "$cluster/gpu1" c 1 3
  echo "Name=gpu File=$cluster/gpu[0-1]" >"$cluster/gres.conf"
  cat >"$SLURM_CONF" <<CONF
ClusterName=test
SlurmctldHost=control
AuthType=auth/munge
# A requeued job waits until its old credential has expired: 120 s by default, also for less than 5.
AuthInfo=socket=$cluster/munge/socket,cred_expire=5
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation=$cluster/state
SlurmdSpoolDir=$cluster/spool/%n
TmpFS=$cluster/tmp/%n
SlurmctldPidFile=$cluster/slurmctld.pid
SlurmdPidFile=$cluster/slurmd.%n.pid
SlurmctldLogFile=$cluster/slurmctld.log
SlurmdLogFile=$cluster/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,requeue_delay=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
GresTypes=gpu
ReturnToService=2
SlurmdTimeout=300
KillWait=10
MailProg=/bin/true
PartitionName=main Nodes=ALL Default=YES GraceTime=20
PartitionName=urgent Nodes=ALL PriorityTier=2 PreemptMode=OFF
CONF
  for ((i = 1; i <= $1; ++i)); do
    place="NodeHostname=control NodeAddr=127.0.0.1 Port=$((7000 + i))"
    [[ $2 == loopback ]] || place="NodeAddr=10.77.0.$i"
    echo "NodeName=n$i $place CPUs=2 RealMemory=4000 Gres=gpu:2" >>"$SLURM_CONF"
  done
}

# start_cluster NODES [loopback|network]: nodes n1, n2, ... of 2 processors and 2 pretend GPUs; with `network`, hosts of their own.
start_cluster() {
  local i place=${2:-loopback}
  mkdir -p "$cluster"/{state,munge,spool,tmp}
  chmod 711 "$cluster/munge"
  export SLURM_CONF=$cluster/slurm.conf
  echo "127.0.0.1 localhost" >"$cluster/hosts"
  if [[ $place == loopback ]]; then echo "127.0.0.1 control" >>"$cluster/hosts"; else make_hosts "$1"; fi
  mount --bind "$cluster/hosts" /etc/hosts
  write_settings "$1" "$place"
  (umask 077; head -c 1024 /dev/urandom >"$cluster/munge/key")
  munged --key-file="$cluster/munge/key" --socket="$cluster/munge/socket" --pid-file="$cluster/munge/pid" \
    --log-file="$cluster/munge/log" --seed-file="$cluster/munge/seed"
  slurmctld -c
  for ((i = 1; i <= $1; ++i)); do
    mkdir "$cluster/spool/n$i" "$cluster/tmp/n$i"
    if [[ $place == loopback ]]; then slurmd -c -N "n$i"; else on_host "n$i" slurmd -c -N "n$i"; fi
  done
  within 20 all_idle "$1" || { tail -n 5 "$cluster"/*.log >&2; die "the cluster did not come up"; }
}
all_idle() { [[ $(sinfo --noheader --Node --format=%T 2>/dev/null | grep -c '^idle$') -ge $1 ]]; }

# within SECONDS CONDITION...: waits until the condition holds.
within() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < end)) || return 1
    sleep 0.2
  done
}

# field JOB NAME: of scontrol's record, such as JobState or ExitCode; a line for each task of an array.
field() { scontrol --oneliner show job "$1" 2>/dev/null | sed -nE "s/.*[ ^]$2=([^ ]+).*/\1/p"; }
# A requeued job is COMPLETING or PENDING for a while; these are ends.
ended() { ! field "$1" JobState | grep -qvE '^(COMPLETED|FAILED|CANCELLED|TIMEOUT|NODE_FAIL|DEADLINE)$'; }
in_log() { grep -qE -- "$1" "$2" 2>/dev/null; }

# expect_end JOB STATE EXIT-CODE LOG: waits for the end of a job.
expect_end() {
  within 120 ended "$1" || { squeue >&2; tail -n 20 "$(dirname "$4")"/*.log >&2; die "job $1 did not end"; }
  [[ $(field "$1" JobState) == "$2" && $(field "$1" ExitCode) == "$3" ]] ||
    { cat "$4" >&2; die "job $1 is $(field "$1" JobState) $(field "$1" ExitCode), expected $2 $3"; }
  echo "ok: job $1 $2 $3"
}
