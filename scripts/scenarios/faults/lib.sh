# shellcheck shell=bash
#
# More commands for the scenarios of this directory, in which something is wrong with the machine, the
# network or the other clients. Each scenario runs for every model in `models`.
#
#   LONG=yes    the long forms: numbers of connections, and times, for which an ordinary check has no
#               time; they also assert times. `scripts/faults` runs all scenarios in that form.
#   MODELS      other models, as 'loop thread'
#   SEED        the seed of the random numbers

faults=$(dirname "${BASH_SOURCE[0]}")
source "$faults/../lib.sh"
only_ours 'asks the server for its counters'
need python3 grep awk

# shellcheck disable=SC2034  # read by the scenarios
read -ra models <<<"${MODELS:-loop poll single thread pool process prefork sharded}"
SEED=${SEED:-1}
declare -A count=()     # the server's counters by name, as `read_counters` found them
served=0 rejected=0     # numbers of connections of the last `probe`

# long: succeeds in the long form.
long() { [[ ${LONG:-no} == yes ]]; }

# workers MODEL COUNT: sets `workers` to the option with which a model that starts its workers beforehand
# has so many, for a scenario with as many clients.
# shellcheck disable=SC2034  # read by the scenarios
workers() {
    workers=()
    case $1 in pool | prefork) workers=(--workers "$2") ;; esac
}

# size SHORT LONG: prints the one for this form.
size() { if long; then echo "$2"; else echo "$1"; fi; }

# measured TEXT...: prints a figure for the reader.
measured() { echo "# measured: $*"; }

# probe SERVICE CONNECTIONS THREADS: runs clients that check every byte (probe.py). The numbers of
# connections that were served and rejected are in `served` and `rejected`.
probe() {
    local output
    output=$(python3 "$faults/probe.py" "$HOST" "$PORT" "$@" "$SEED" 2>&1) || quote <<<"$output"
    # shellcheck disable=SC2034  # read by the scenarios
    read -r _ served _ rejected < <(grep '^served' <<<"$output")
}

# read_counters: asks the server for its counters.
read_counters() {
    local lines pair
    lines=$(counter_lines)
    kill -s USR1 "$SERVER_PID"
    await more_counters "$lines" || give_up 'the server logs its counters'
    count=()
    for pair in $(grep 'accepted=' "$log" | tail -n 1 | grep -oE '[a-z-]+=[0-9]+'); do
        count[${pair%=*}]=${pair#*=}
    done
}

counter_lines() { grep -c 'accepted=' "$log" || true; }

more_counters() { (($(counter_lines) > $1)); }

# all_left: succeeds if no connection is open, by the server's counters.
all_left() {
    read_counters
    ((count[open] == 0))
}

# resident, peak: the server's resident memory, and its peak, in KiB.
resident() { awk '/^VmRSS:/ { print $2 }' "/proc/$SERVER_PID/status"; }
peak() { awk '/^VmHWM:/ { print $2 }' "/proc/$SERVER_PID/status"; }
