# shellcheck shell=bash
#
# Further words for the stories of this directory, in which something is wrong with the machine, the
# network or the other clients. What a story says of all models is said of each in `models`.
#
#   LONG=yes    the long forms: numbers of connections, and times, that show what an ordinary check
#               has no time for; they also assert times. `scripts/faults` tells all stories so.
#   MODELS      other models, as 'loop thread'
#   SEED        where the dice begin

faults=$(dirname "${BASH_SOURCE[0]}")
source "$faults/../lib.sh"
only_ours 'asks the server for its counters'
need python3

# shellcheck disable=SC2034  # the stories read it
read -ra models <<<"${MODELS:-loop single thread process sharded}"
SEED=${SEED:-1}
declare -A count=()     # by name: the server's counters, as `read_counters` found them
served=0 refused=0      # how many connections of polite clients were

# long: whether this is the long form.
long() { [[ ${LONG:-no} == yes ]]; }

# size SHORT LONG: the one or the other.
size() { if long; then echo "$2"; else echo "$1"; fi; }

# measured TEXT...: a figure for people.
measured() { echo "# measured: $*"; }

# polite SERVICE CONNECTIONS AT_ONCE: lets polite clients talk; see probe.py. The numbers of those
# served and refused are in `served` and `refused`.
polite() {
    local told
    told=$(python3 "$faults/probe.py" "$HOST" "$PORT" "$@" "$SEED" 2>&1) || quote <<<"$told"
    # shellcheck disable=SC2034  # the stories read both
    read -r _ served _ refused < <(grep '^served' <<<"$told")
}

# read_counters: asks the server for its counters.
read_counters() {
    local lines pair
    lines=$(counter_lines)
    kill -s USR1 "$SERVER_PID"
    await more_counters "$lines" || give_up 'the server tells its counters'
    count=()
    for pair in $(grep 'accepted=' "$log" | tail -n 1 | grep -oE '[a-z-]+=[0-9]+'); do
        count[${pair%=*}]=${pair#*=}
    done
}

counter_lines() { grep -c 'accepted=' "$log" || true; }

more_counters() { (($(counter_lines) > $1)); }

# all_left: whether no connection is open any more, by the server's counters.
all_left() {
    read_counters
    ((count[open] == 0))
}

# resident: the server's resident memory, in KiB; its peak.
resident() { awk '/^VmRSS:/ { print $2 }' "/proc/$SERVER_PID/status"; }
peak() { awk '/^VmHWM:/ { print $2 }' "/proc/$SERVER_PID/status"; }
