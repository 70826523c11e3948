#!/usr/bin/env bash
# As many jobs build as the machine, a control group's CPUs and its memory allow: `jobs` of the front door, on machines
# that are folders.
set -eu
source <(sed -n '/^limits() {/,/^}/p; /^jobs() {/,/^}/p' "$(dirname "$0")/../likely")
nproc() { echo 16; }
machine=$(mktemp -d)
trap 'rm -rf "$machine"' EXIT

put() { mkdir -p "$(dirname "$machine/$1")" && printf '%b' "$2" >"$machine/$1"; }
expect() {
  local found
  found=$(jobs)
  [[ $found == "$1" ]] || {
    echo "front_door: $2: $found jobs, not $1" >&2
    exit 1
  }
}

expect 16 "nothing is told"
put proc/meminfo 'MemTotal: 99999999 kB\nMemAvailable: 9437184 kB\n'
expect 9 "9 GiB are free"
put proc/self/cgroup '0::/a/b\n'
expect 9 "a group without limits"
put sys/fs/cgroup/a/b/cpu.max 'max 100000\n'
put sys/fs/cgroup/a/b/memory.max 'max\n'
expect 9 "a group that says it has none"
put sys/fs/cgroup/a/cpu.max '350000 100000\n'
expect 3 "3.5 CPUs for the group above"
put sys/fs/cgroup/a/b/memory.max '2147483648\n'
expect 2 "2 GiB for the group"
put sys/fs/cgroup/memory.max '500000000\n'
expect 1 "half a GiB for all"

rm -r "${machine:?}"/sys
put proc/self/cgroup '4:memory:/m\n2:cpu,cpuacct:/c\n0::/\n'
expect 9 "version 1 without limits"
put sys/fs/cgroup/memory/memory.limit_in_bytes '9223372036854771712\n'
put sys/fs/cgroup/cpu/c/cpu.cfs_quota_us '-1\n'
put sys/fs/cgroup/cpu/c/cpu.cfs_period_us '100000\n'
expect 9 "version 1 that says it has none"
put sys/fs/cgroup/cpu/cpu.cfs_quota_us '50000\n'
put sys/fs/cgroup/cpu/cpu.cfs_period_us '10000\n'
expect 5 "5 CPUs, from version 1"
put sys/fs/cgroup/memory/m/memory.limit_in_bytes '4294967296\n'
expect 4 "4 GiB, from version 1"
