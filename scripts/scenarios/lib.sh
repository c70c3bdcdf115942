# shellcheck shell=bash
#
# The commands of the scenarios in this directory. A scenario sources this file, starts a server,
# connects clients, and checks what they receive. The output is TAP version 13, the newest that the
# `prove` of Debian 12 reads. Needs bash 4.4 and coreutils; a scenario that uses more tools says
# which (`need`).
#
#   SOCKLAB     the binary; by default target/release/socklab, or else target/debug/socklab
#   SERVER_CMD  another server to test, as 'python3 server1.py {host} {port}'; a line `Fits: server1`
#               in a scenario's header says that a server must work as our server1 does
#   CI=true     a missing tool is a failure; by default the scenario is skipped
#
# Nothing here sleeps to give a program time: every wait is for a line, the end of input or a
# condition, and PATIENCE is the longest wait before it is a failure.

lib=${BASH_SOURCE:-$0}
# shellcheck source=scripts/scenarios/requirements.sh
. "${lib%/*}/requirements.sh"
set -euo pipefail
export LC_ALL=C

HOST=127.0.0.1
PORT=0              # of the server started last
OUTPUT=''           # the output of the last `run`
STATUS=0            # the exit status of the last `run` or `stop_server`
SERVER=''           # the name of the server started last, for the sentences
SERVER_PID=''       # its process, the leader of its own process group
under=()            # a command that runs our server, as (prlimit --nofile=64)
PATIENCE=${PATIENCE:-10}       # seconds
GAP=0.1             # seconds without a byte that end a reply without a newline
MOMENT=0.5          # seconds in which another server does what it does by itself: speaks, or ends
MOMENT_TRIES=25     # of 0.02 s, the same time
checks=0            # test points so far
failures=0          # failed test points
finished=no         # yes at the end of the scenario
declare -A to=() from=() peer=()    # by client: the descriptors to write and to read; its process

scratch=$(mktemp -d)
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
if [[ -z ${SOCKLAB:-} ]]; then
    SOCKLAB=$root/target/release/socklab
    [[ -x $SOCKLAB ]] || SOCKLAB=$root/target/debug/socklab
fi
log=$scratch/server.log     # of the server started last
log_shown=no
end_shown=no        # yes once a failed point has told how the server ended

trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
# A write to a connection that the server has closed must not end the scenario. A handler, unlike an
# ignored signal, is not inherited by the programs that we start.
trap : PIPE

echo 'TAP version 13'

# ---------------------------------------------------------------- checks

# is SENTENCE GOT WANT: the two texts are the same.
is() {
    if [[ $2 == "$3" ]]; then point ok "$1"; else point 'not ok' "$1" "$2" "$3"; fi
}

# like SENTENCE GOT PATTERN: the text matches a shell pattern.
like() {
    # shellcheck disable=SC2053  # the right side is a pattern on purpose
    if [[ $2 == $3 ]]; then point ok "$1"; else point 'not ok' "$1" "$2" "$3"; fi
}

# unlike SENTENCE GOT PATTERN: it does not match.
unlike() {
    # shellcheck disable=SC2053  # the right side is a pattern on purpose
    if [[ $2 != $3 ]]; then point ok "$1"; else point 'not ok' "$1" "$2" "not $3"; fi
}

# answers SENTENCE GOT WANT: the reply of our server is the same text. Another server may write `3`
# for `3.0`, or put words before it: the last number in its reply must have the same value.
answers() {
    if ours; then
        is "$@"
    elif [[ $2 =~ [0-9] && $(last_number "$2") == "$(last_number "$3")" ]]; then
        point ok "$1"
    else
        point 'not ok' "$1" "$2" "$3, or the same number written otherwise"
    fi
}

# last_number TEXT: prints the last number in the text, `3.0` and `+3` as `3`.
last_number() {
    local text=$1 number='' pattern='[-+]?[0-9]+([.][0-9]+)?'
    while [[ $text =~ $pattern ]]; do
        number=${BASH_REMATCH[0]#+}
        text=${text#*"${BASH_REMATCH[0]}"}
    done
    if [[ $number == *.* ]]; then
        while [[ $number == *0 ]]; do number=${number%0}; done
        number=${number%.}
    fi
    if [[ $number == -0 ]]; then echo 0; else echo "$number"; fi
}

# an_error: the pattern of a reply that reports an error; for another server, any word.
an_error() { if ours; then echo '*Error: *'; else echo '[!(]*[A-Za-z]*'; fi; }

# holds SENTENCE COMMAND...: the command succeeds within PATIENCE.
holds() {
    if await "${@:2}"; then
        point ok "$1"
    else
        point 'not ok' "$1" "not in $PATIENCE s" "${*:2}"
    fi
}

# skip SENTENCE REASON: a check that makes no sense for this server.
skip() {
    checks=$((checks + 1))
    echo "ok $checks - $1 # SKIP $2"
}

# finish: the end of every scenario.
finish() {
    finished=yes
    echo "1..$checks"
    exit $((failures > 0))
}

# ours: succeeds if the server is socklab, and not one given by SERVER_CMD.
ours() { [[ -z ${SERVER_CMD:-} ]]; }

# only_ours REASON: skips the scenario for any other server.
only_ours() { ours || skip_scenario "$1"; }

# need TOOL...: skips the scenario if a tool is missing; under CI that is a failure.
need() {
    local tool
    for tool; do
        case $tool in
            nc) if has_nc; then continue; fi ;;
            *) if command -v "$tool" >/dev/null; then continue; fi ;;
        esac
        [[ $tool != nc ]] || tool="OpenBSD's nc"
        [[ ${CI:-} == true ]] || skip_scenario "needs $tool"
        point 'not ok' "$tool is installed, as CI requires"
        finish
    done
}

# has_nc: succeeds if nc is OpenBSD's; others have no -N.
has_nc() { [[ $(nc -h 2>&1) == *OpenBSD* ]]; }

# ---------------------------------------------------------------- the server

# one_of SERVER...: prints the servers to test: these of ours, or just `yours`.
one_of() { if ours; then echo "$@"; else echo yours; fi; }

# start_server NAME [OPTION...]: starts `socklab NAME` on any free port, or SERVER_CMD, and sets PORT.
# NAME is a command or a model. The scenario fails if the server does not start.
start_server() { start_server_at 0 "$@"; }

# start_server_at PORT NAME [OPTION...]: the same on a given port.
start_server_at() {
    local wanted=$1
    SERVER=$2
    : >"$log"
    log_shown=no end_shown=no
    if ours; then
        [[ -x $SOCKLAB ]] || give_up "$SOCKLAB exists (cargo build --release makes it)"
        start_ours "$wanted" "${@:3}" || give_up "socklab $SERVER prints where it listens"
    else
        start_yours "$wanted" || give_up "SERVER_CMD listens: $SERVER_CMD"
    fi
}

# your_command PORT: prints SERVER_CMD with the host and the port filled in.
your_command() {
    local command=${SERVER_CMD//'{host}'/$HOST}
    echo "${command//'{port}'/$1}"
}

# signal_server SIGNAL: sends it to all processes that SERVER_CMD may have started.
signal_server() { kill -s "$1" -- "-$SERVER_PID" 2>/dev/null || true; }

# alive [SENTENCE]: the server runs. Another server gets a moment in which it may end.
alive() {
    ours || within_moment gone "$SERVER_PID" || true
    if gone "$SERVER_PID"; then
        point 'not ok' "${1:-the server runs}"
    else
        point ok "${1:-the server runs}"
    fi
}

# stop_server: sends TERM, waits for the end, and sets STATUS. The server must have run until then.
stop_server() {
    ! gone "$SERVER_PID" || point 'not ok' 'the server runs until it is told to end'
    signal_server TERM
    server_ends || give_up 'the signal TERM ends the server'
}

# server_ends: waits for the server to end, and sets STATUS.
server_ends() {
    await gone "$SERVER_PID" || return 1
    STATUS=0
    wait "$SERVER_PID" 2>/dev/null || STATUS=$?
    SERVER_PID=''
}

# ---------------------------------------------------------------- the clients

# connect NAME: a client in bash itself, over /dev/tcp. What another server says first is shown, and
# is no reply.
connect() {
    local n
    exec {n}<>"/dev/tcp/$HOST/$PORT" || return 1
    to[$1]=$n
    from[$1]=$n
    ours || show_greeting "$1" "$GAP"
}

# greeting NAME [SECONDS]: prints what the server says before any question: all that arrives until
# nothing does for a GAP. The first of it may take SECONDS, by default PATIENCE.
greeting() {
    local text seconds=${2:-$PATIENCE}
    while text=$(hear "$1" "$seconds"); [[ $text != '(silence)' && $text != '(end of input)' ]]; do
        echo "$text"
        seconds=$GAP
    done
}

# show_greeting NAME SECONDS: shows it, as a comment.
show_greeting() {
    local text
    text=$(greeting "$@")
    [[ -z $text ]] || quote <<<"the server says to $1 before any question: $text"
}

# connect_with NAME COMMAND...: a client that is a program; we have its stdin and stdout.
connect_with() {
    local name=$1 n
    mkfifo "$scratch/$name.in" "$scratch/$name.out"
    spawn "${@:2}" <"$scratch/$name.in" >"$scratch/$name.out" 2>>"$scratch/$name.err" &
    peer[$name]=$!
    exec {n}>"$scratch/$name.in"
    to[$name]=$n
    exec {n}<"$scratch/$name.out"
    from[$name]=$n
    rm "$scratch/$name.in" "$scratch/$name.out"
}

# say NAME TEXT...: sends each text as a line.
say() { printf '%s\n' "${@:2}" 1>&"${to[$1]}" 2>/dev/null || true; }

# say_raw NAME BYTES: sends these bytes and no newline. `\r`, `\0` and `\xff` stand for bytes.
say_raw() { printf '%b' "$2" 1>&"${to[$1]}" 2>/dev/null || true; }

# hear NAME [SECONDS]: prints the next reply, `(end of input)`, or `(silence)` after SECONDS.
# A reply is a line; that of another server may have no newline, and then ends with a GAP.
hear() {
    local first rest='' status=0 gap=$PATIENCE
    ours || gap=$GAP
    IFS= read -r -N 1 -t "${2:-$PATIENCE}" -u "${from[$1]}" first 2>/dev/null || status=$?
    if ((status > 128)); then
        echo '(silence)'
    elif ((status > 0)); then
        echo '(end of input)'
    else
        [[ $first == $'\n' ]] || IFS= read -r -t "$gap" -u "${from[$1]}" rest || true
        rest=$first$rest
        echo "${rest%$'\r'}"
    fi
}

# hear_all NAME: prints all replies, and how they ended.
hear_all() {
    local line
    while IFS= read -r -t "$PATIENCE" -u "${from[$1]}" line 2>/dev/null; do echo "$line"; done
    hear "$1" 0.1
}

# ask NAME TEXT: sends a line and prints the reply.
ask() {
    say "$1" "$2"
    hear "$1"
}

# small_talk NAME: the conversation of every kind of client. The values differ, so that a late reply
# is not taken for the next one. A program takes a moment to connect and to print a banner.
small_talk() {
    ours || show_greeting "$1" "$MOMENT"
    answers "$1 asks 1 + 2" "$(ask "$1" '1 + 2')" 3
    answers "$1 asks 30 / 5" "$(ask "$1" '30 / 5')" 6.0
    leave "$1"
}

# reset NAME: the client resets its connection. It asks for a sum and leaves when the reply has
# arrived, without reading it: so the kernel sends a reset (RFC 2525, 2.17).
reset() {
    say "$1" '1 + 2'
    await read -r -t 0 -u "${from[$1]}" || point 'not ok' "$1 has a reply"
    leave "$1"
}

# leave NAME: closes the connection, or the stdin of a program, which then must end.
leave() {
    local n=${to[$1]}
    exec {n}>&-
    if [[ -n ${peer[$1]:-} ]]; then
        await gone "${peer[$1]}" || point 'not ok' "$1 leaves at the end of its input"
        n=${from[$1]}
        exec {n}<&-
        unset "peer[$1]"
    fi
    unset "to[$1]" "from[$1]"
}

# run COMMAND...: runs it to its end, and sets OUTPUT and STATUS.
run() {
    STATUS=0
    # shellcheck disable=SC2034  # read by the scenarios
    OUTPUT=$(timeout "$PATIENCE" "$@" 2>&1) || STATUS=$?
}

# load [OPTION...]: puts load on the server, to its end; sets STATUS, and MESSAGES to its stderr. The
# report, as JSON, is in $scratch/report.
# shellcheck disable=SC2034  # read by the scenarios
load() {
    STATUS=0
    timeout "$PATIENCE" "$SOCKLAB" bench "$HOST" "$PORT" --json "$@" \
        >"$scratch/report" 2>"$scratch/messages" || STATUS=$?
    MESSAGES=$(<"$scratch/messages")
}

# ---------------------------------------------------------------- conditions

# await COMMAND...: repeats it until it succeeds; fails after PATIENCE.
await() {
    local last=$((SECONDS + PATIENCE))
    until "$@"; do
        ((SECONDS < last)) || return 1
        sleep 0.02
    done
}

# within_moment COMMAND...: repeats it until it succeeds, for a moment.
within_moment() {
    local n
    for ((n = 0; n < MOMENT_TRIES; n++)); do
        if "$@"; then return 0; fi
        sleep 0.02
    done
    return 1
}

# gone PROCESS
gone() { ! kill -0 "$1" 2>/dev/null; }

# listening PORT: reads the kernel's table if there is one, because a connection for this purpose
# would use the only permit of a server for one client.
listening() {
    local port table
    if [[ -r /proc/net/tcp ]]; then
        printf -v port %04X "$1"
        table=$(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null) || true
        # The port of the local address, a remote address without a port, and the state LISTEN.
        [[ $table =~ :$port\ [0-9A-F]+:0000\ 0A\  ]]
    else
        (: <>"/dev/tcp/$HOST/$1") 2>/dev/null
    fi
}

# free_port: prints a port without a listener, below those that the kernel gives to clients.
free_port() {
    local port
    while port=$((20000 + RANDOM % 12000)); listening "$port"; do :; done
    echo "$port"
}

# ---------------------------------------------------------------- internals

point() {
    checks=$((checks + 1))
    echo "$1 $checks - $2${SERVER:+ [$SERVER]}"
    [[ $1 != ok ]] || return 0
    failures=$((failures + 1))
    if (($# > 2)); then
        printf '#   expected: %s\n#   got:      %s\n' "${4@Q}" "${3@Q}"
    fi
    show_end
    show_log
}

# show_end: says so if the server has ended by itself, and by which signal or with which exit status.
show_end() {
    local how=0
    [[ -n $SERVER_PID && $end_shown == no ]] || return 0
    if ours; then gone "$SERVER_PID"; else within_moment gone "$SERVER_PID"; fi || return 0
    end_shown=yes
    wait "$SERVER_PID" 2>/dev/null || how=$?
    echo "#   the server ended by itself: $(signal_of "$how")"
}

# signal_of STATUS: prints the signal that an exit status tells, or else the status.
signal_of() {
    local name
    if (($1 > 128)) && name=$(kill -l "$1" 2>/dev/null); then
        echo "SIG$name"
    else
        echo "exit status $1"
    fi
}

# show_log: prints the end of the server's log, once for each server.
show_log() {
    [[ -s $log && $log_shown == no ]] || return 0
    log_shown=yes
    echo '#   the end of the log:'
    tail -n 15 "$log" | quote
}

# quote: marks the lines of another program, so that none of them is read as TAP.
quote() {
    local line
    while IFS= read -r line || [[ -n $line ]]; do printf '#   | %s\n' "$line"; done
}

skip_scenario() {
    finished=yes
    echo "1..0 # SKIP $1"
    exit 0
}

give_up() {
    point 'not ok' "$1"
    finish
}

# spawn COMMAND...: becomes the command, without the descriptors of our clients: a copy in another
# process would keep a connection open after its client has left.
spawn() {
    local n
    for n in "${to[@]}" "${from[@]}"; do exec {n}>&-; done
    exec "$@"
}

start_ours() {
    local ready line='' command=("$SERVER")
    case $SERVER in loop | poll | single | thread | pool | process | prefork | sharded)
        command=(serve --model "$SERVER") ;;
    esac
    rm -f "$scratch/ready"
    mkfifo "$scratch/ready"
    set -m      # a process group of its own, so that all its processes can be ended
    spawn "${under[@]}" "$SOCKLAB" "${command[@]}" "$HOST" "$1" "${@:2}" \
        </dev/null >"$scratch/ready" 2>>"$log" &
    SERVER_PID=$!
    set +m
    exec {ready}<"$scratch/ready"
    IFS= read -r -t "$PATIENCE" -u "$ready" line || true
    PORT=${line##*:}
    [[ $line == "listening on $HOST:$PORT" ]]
}

start_yours() {
    for _ in 1 2 3; do      # another program may bind the port first
        PORT=$1
        [[ $PORT != 0 ]] || PORT=$(free_port)
        set -m
        spawn bash -c "$(your_command "$PORT")" </dev/null >>"$log" 2>&1 &
        SERVER_PID=$!
        set +m
        await listening_or_gone || return 1
        gone "$SERVER_PID" || return 0
        [[ $1 == 0 ]] || break
    done
    return 1
}

listening_or_gone() { listening "$PORT" || gone "$SERVER_PID"; }

clean_up() {
    local status=$? pid
    trap - EXIT
    [[ -z $SERVER_PID ]] || signal_server KILL
    for pid in "${peer[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    if [[ $finished == no ]]; then
        echo "# the scenario stopped early with exit status $status"
        show_log
        ((status > 0)) || status=1
    fi
    rm -rf "$scratch"
    exit "$status"
}

# threads_of PROCESS: the number of its threads, without those that only write its output.
threads_of() {
    local name count=0
    for name in "/proc/$1/task/"*/comm; do
        name=$(cat "$name" 2>/dev/null) || continue
        case $name in stdout | stderr) ;; *) count=$((count + 1)) ;; esac
    done
    echo "$count"
}
