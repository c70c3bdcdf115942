//! socklab: a laboratory for TCP servers.
//!
//! The design in one sentence: a **service** is a state machine without I/O, a **session** turns
//! received bytes into events of its service and the service's replies into bytes to send, and a
//! server **model** accepts connections, limits their number, moves bytes between sockets and
//! sessions, and stops. One service therefore runs unchanged under every model, and services,
//! sessions and the readiness loop are tested without a socket, a thread or a clock.
//!
//! This chapter describes the architecture: the words, the layers, the path of a message, the life
//! of a connection, the steps of a stop, and the recurring patterns. The rules for changing the
//! tree are in `.github/CONTRIBUTING.md`.
//!
//! # Words
//!
//! Each word has one meaning. The sources are RFC 9293 (TCP), POSIX, the documentation of mio and
//! tokio, and "UNIX Network Programming".
//!
//! | word | meaning |
//! | --- | --- |
//! | client, peer | a connection that the server accepted, as it is counted; the other end of any connection |
//! | end of input | a receive of 0 bytes: the peer has closed its sending half (its FIN has arrived) |
//! | message, reply | the input of one step of a service, such as a line; its output |
//! | framing | the rule that finds the end of a message: a newline, a NUL, a length, or a gap |
//! | gap | silence that ends a message without a terminator |
//! | event | of a service: open, message or timeout; of the kernel: a socket may be readable or writable |
//! | inbox, outbox | bytes received and not served; bytes written by the service and not sent |
//! | limb, work | 64 bits of a large integer; the cost of a step, in products of two limbs |
//! | slice, budget | one run of a connection; the most work of a slice, about 0.1 ms |
//! | readiness loop | one thread that waits for all its connections and runs those that can go on; [`reactor::Reactor`] |
//! | explained | of a kernel, a socket or a stream: decorated with words for each of its calls (`serve --explain`) |
//! | turn | one iteration of the readiness loop: wait, mark, expire (fire timers), run, reap (remove the finished) |
//! | event loop | the loop of a model: a reactor, a listener, signals, and the steps of a stop |
//! | leader | the event loop that handles signals; `sharded` has several loops and one leader |
//! | worker | a thread or a process that serves one client, or one after another if it was started beforehand; a load worker is a thread of the load generator |
//! | limiter, permit | the limit on clients, in all and from one address; the right to one place, released when dropped |
//! | slot | the right of a thread to do heavy work, released when dropped ([`drive::slots`]) |
//! | light, heavy | of a message: at most, or more than, the work [`service::LIGHT_WORK`]; a connection is heavy while its next message is |
//! | to defer | of a service: to leave a heavy message to a step that may do any work |
//! | admission | the decision about an accepted client: serve, reply busy, shed, reset |
//! | shed | to send the busy line without waiting for the client, and close: its descriptor is needed |
//! | linger | to receive and discard until the peer's FIN, after our own FIN (not the option `SO_LINGER`) |
//! | close reason | why a connection ended; exactly one, the first |
//! | stop, stage | the end of a server, after SIGTERM or SIGINT; its stages: serving, emptying, closing, over |
//! | drain | to answer what has arrived, then close; all connections do so in the stage closing |
//! | cut | to end a connection at once, whatever it still owes |
//! | stats, traffic | a server's counters: clients by close reason; messages and bytes |
//! | workload | the requests of a load, and the replies that must come back |
//! | warm-up | the time before a load; what is answered in it is in no count |
//! | bare | without a newline, of requests and replies |
//! | subject | a server under test that somebody else wrote, started from a command |
//! | lesson, topic | system calls that the command show makes and reports; the name of the question that they answer |
//! | question, answer | a request of a grading to a subject, and what comes back |
//! | contender, baseline | a server in a comparison; the contender to which the others are compared |
//! | round, slice of time | in a comparison: every contender once; the measured time of one of them |
//! | control | the baseline measured a second time in each round, under another name |
//!
//! # Layers
//!
//! A file imports only from lower layers and from its own module, and there are no import cycles.
//! `tests/tidy.rs` checks both.
//!
//! | layer | modules | does not know |
//! | --- | --- | --- |
//! | 0 | [`background_writer`], [`buffer`], [`choice`], [`duration`], [`error`], [`escape`], [`explain`], [`number`], [`random`] | everything else |
//! | 1 | [`arithmetic`]: the language of the calculator | messages |
//! | 2 | [`service`]: calc, echo, hello, quiz, fourops; busy, which only rejects | sockets, clocks, framing |
//! | 3 | [`session`]: framing, inbox, outbox, phases, timers | sockets, clocks |
//! | 4 | [`drive`]: the blocking and the ready driver; [`net`]: listener, limiter, admission; [`signal`] | which service runs |
//! | 5 | [`reactor`]: the readiness loop, on a [`Kernel`](reactor::Kernel) | listeners, models |
//! | 6 | [`model`]: the server designs; [`load`]: the load generator; [`client`] | the command line |
//! | 7 | [`subject`]: starts a server from a command, sees it listen, watches it in /proc, stops it | what it is asked |
//! | 8 | [`with`]; [`grade`]: the tests of a subject, the verdict on its design, the report; [`compare`]: rounds, statistics, verdicts on speed; [`lesson`]: system calls, reported as they are made | the command line |
//! | 9 | [`cli`]: options, parsed into configurations, and written as arguments of child processes | sockets |
//! | 10 | `src/main.rs`: parse, log, run, exit code | how a command works |
//!
//! # Path of a message
//!
//! A request to the service calc under the model loop, and the functions on its path:
//!
//! ```text
//!  kernel   epoll_wait, recv                                        send
//!              │                                                      ▲
//!  reactor  Reactor::turn: wait → mark → expire → run → reap          │
//!              │                        │                             │
//!  drive       └──────────────▶ ready::run ◀── Want::Receive ── Want::Send
//!                                       │                             ▲
//!  session        ActiveSession::received                     ActiveSession::want
//!                      inbox → Framer::line → Session::answer → outbox
//!                                                  │  ▲
//!  service                                Calc::step  Output::write
//!                                                  │  ▲
//!  arithmetic         evaluate_fast (small integers), else evaluate_full
//! ```
//!
//! 1. The kernel reports the socket readable. The event only updates the connection's
//!    [`Readiness`](drive::ready::Readiness) and puts its key, an index of the slab of connections,
//!    into a queue.
//! 2. The turn runs the queued connections. Activating a session ([`session::Session::activate`])
//!    borrows buffers from the loop's pool and gives the slice its budget.
//! 3. The driver ([`drive::ready::run`]) asks the session for its next action
//!    ([`session::Want`]) and does it, until the socket would block, the session waits, its budget
//!    is used up, or its next message is heavy. It receives into the inbox. If only a part of a
//!    message has arrived, it is acknowledged without delay (`TCP_QUICKACK`), so that a peer with
//!    Nagle's algorithm sends the rest.
//! 4. The framer finds the message. The service takes it in one [`service::Service::step`] and
//!    writes its reply, and the session appends the terminator with which the message ended.
//! 5. The next action is to send: one send carries the replies to all requests of a batch. A
//!    receive that did not fill its buffer has emptied the socket, so no second one follows, and a
//!    request costs two system calls and a share of a wait.
//! 6. When nothing is left to do, the timer of the connection is armed for the session's deadline,
//!    and the buffers return to the pool. An idle connection owns none.
//!
//! Under `thread`, `pool`, `process` and `prefork` a message follows the same path with
//! [`drive::blocking`] in place of the reactor and [`drive::ready`]; the loop measures how long a
//! thread waits for its client's next message ([`drive::timed_socket::Ticks`]). Under `poll` the
//! reactor waits with poll(2), which is told in every wait what each connection has no hint of
//! ([`reactor::Poll`]).
//!
//! # Life of a connection
//!
//! ```text
//!  accept(2) ──▶ LimitedListener::accept ──▶ Admission ─┬─ Serve(permit) ──▶ Client ─┬─▶ reactor
//!                     │        ▲                        ├─ ReplyBusy(permit) ────────┘   thread
//!               Limiter: is there a permit?             ├─ Shed  ─┬▶ Stats::ended        process
//!                              │                        └─ Reset ─┘    (reason)              │
//!                              └── permit dropped ◀── Stats::left(client, reason) ◀─────────┘
//! ```
//!
//! [`net::limited_listener`] accepts and admits; the permit is inside the admission. There are two
//! kinds of permit: to be served, and to be told why not (at most 256 of them). A client that is
//! shed or reset has none. The event loop puts the permit into a `Client`, the record that stays
//! with the connection: as the reactor's data, in a thread's closure, or in the map of processes.
//! A worker of `pool` or `prefork` is there before its client: a thread takes the client from a
//! queue, a process is sent its descriptor (`SCM_RIGHTS`). There is one for each permit, so a
//! client that has a permit finds one free.
//!
//! When the connection ends, its owner passes the client to `Stats::left`, which drops the permit,
//! counts the close reason and logs it. The permit is released before the socket is closed, so a
//! client that sees the end and reconnects finds a place.
//!
//! The phases of a session, and the conditions that lead from one to the next:
//!
//! ```text
//!  New ──▶ Serving ──────────────▶ Flushing ──────────▶ Lingering ─────────▶ Finished
//!  first     │  service closes,      │  outbox empty:     │  peer's FIN,        ▲
//!  activation│  end of input,        │  our FIN is sent   │  2 s since the last │
//!            │  server stops,        │                    │  byte not discarded,│
//!            │  message too long     │                    │  16 MiB discarded   │
//!            │  or too slow          │                    │                     │
//!            │                       └── peer's FIN was seen before ─────────────┤
//!            └── from any phase: socket failed, idle, unread, cut (forced) ──────┘
//! ```
//!
//! A connection in the queues of the reactor:
//!
//! ```text
//!             event, timer, added                      budget used up
//!   idle ────────────────────────▶ ready ──▶ run ──┬────────────────────▶ left
//!    ▲                               ▲        │ ▲  │  next message heavy    │
//!    │                      computed │        │ │  └──────────▶ heavy       │
//!    │                               └────────┼─┼── compute ◀─────┘         │
//!    │                                        │ └───────────────────────────┘
//!    └────────────── blocked, timer armed ────┤         in a later turn
//!                                             └── finished ──▶ reap
//! ```
//!
//! In a turn, the ready connections run first, then those left by an earlier turn, each group for
//! at most [`SLICES_PER_TURN`](reactor::SLICES_PER_TURN) full slices of work. Then the loop polls
//! again. The budget is checked between messages.
//!
//! The cost of a message is known only when it is computed. So a message is first tried with
//! [`LIGHT_WORK`](service::LIGHT_WORK); if it takes more, its service returns
//! [`Next::Defer`](service::Next::Defer), and the session yields and computes it when it is
//! activated again. Such a computation is not interrupted, and takes up to 50 ms, for which a loop
//! would serve nobody. So each loop has a thread for its heavy messages, one at a time
//! ([`reactor::Compute`]): the session moves there, and back with its reply. The thread is started
//! for the first heavy message; if it cannot be, the loop computes by itself, one heavy message a
//! turn. Under `thread` and `pool` a client's thread computes, with one of two slots for each core.
//!
//! Lingering exists because a close with unread input sends a reset, and a reset destroys data that
//! the peer has not read (RFC 1122, 4.2.2.13):
//!
//! ```text
//!      without lingering                       with lingering
//!   server          client                  server          client
//!     │◀── "1+1\n" ───│                       │◀── "1+1\n" ───│
//!     │── "busy" ────▶│ (not read yet)        │── "busy" ────▶│
//!     │◀── "2+2\n" ───│                       │── FIN ───────▶│
//!     │  close        │                       │◀── "2+2\n" ───│  received, discarded
//!     │── RST ───────▶│ "busy" is lost        │               │  reads "busy", end of input
//!                                             │◀── FIN ───────│
//!                                             │  close
//! ```
//!
//! # Steps of a stop
//!
//! 1. SIGTERM or SIGINT is an event of the leader. It raises the stage from serving to emptying,
//!    and wakes the other loops.
//! 2. Each loop accepts the clients in its own accept queue, then arrives at a barrier. No loop
//!    closes its listener before that: the kernel gives new connections to all listeners of an
//!    address (`SO_REUSEPORT`), and resets those in the queue of the one that closes. (Under the
//!    policy `refuse` listeners also stop while the server is full; a client still in the queue is
//!    then reset.)
//! 3. In the stage closing, each loop closes its listener and drains: a receive that would block
//!    now counts as the end of input, so every message that has arrived is answered. Threads are
//!    woken by a shutdown of their socket's receiving half, processes by the end of a
//!    pipe; one that was started beforehand exits when it has no client.
//! 4. A loop without connections, or at the end of the drain time, arrives at the second barrier.
//!    When all have, the stage is over: connections that are left are cut, and the counters are
//!    logged. A second signal jumps straight to this stage.
//!
//! # Who may block which thread
//!
//! | thread | waits for | for how long |
//! | --- | --- | --- |
//! | a loop | its kernel (epoll, or poll) | until the next timer |
//! | a loop that accepts | a lock, held for an accept(2); the start of a thread or process | microseconds; as long as the machine takes |
//! | a loop that cuts its connections, or has no compute thread | an evaluation | at most 50 ms |
//! | `compute` | the next heavy message of its loop | until the loop ends |
//! | a loop that cuts its workers | their end | 250 ms, and 40 ms more for processes that it kills then |
//! | a client's thread or process | its socket | until the next timer of the session |
//! | a free thread of `pool`, a free process of `prefork` | its next client | until the server ends |
//! | a client's thread, before heavy work | a slot | those before it, each at most one evaluation; a cut ends the wait |
//! | `stderr` (the log) | whoever reads stderr | without limit; nobody waits for it, but the end of the program, 0.1 s |
//! | `stdout` (the ready line, if stdout has no room for it at once) | whoever reads stdout | without limit; nobody waits for it |
//! | `results` | the file system | without limit; a player waits 1 s for it; the end of the program 0.5 s, 0.1 s after a second signal; a process that is cut 250 ms |
//!
//! # Recurring patterns
//!
//! - Time is an argument. Only drivers, loops and the edges of commands read a clock.
//! - An event is a hint. Send first, and wait for an event only after `EAGAIN`; a stale hint costs
//!   one call that would block.
//! - Arrived input beats due timers: a timer fires only after a receive that found nothing. An
//!   interrupted wait or a halted process ends no connection whose bytes had arrived. The time of a
//!   halt, but for its first 50 ms, counts for no timer. Only the time until which a service waits
//!   for a message stays where it is.
//! - A step is taken only while the outbox has room for the largest reply, so a service's writes
//!   cannot fail. Output is sent before input is received, so a peer that does not read stops its
//!   own input.
//! - Failures are of three kinds. A peer's ends one connection, the machine's is survived (a
//!   rejection, or a pause in accepting), and a bug of ours asserts.
//! - Errors on the wire are replies, not `Err`.
//! - No loop waits for a log or a file: a queue of limited size and a thread write them.
//! - Every limit is a named constant or an option, with its unit; limits that depend on each other
//!   are related by assertions at compile time.
//!
//! # Where things are
//!
//! | subject | file |
//! | --- | --- |
//! | accepting; a client beyond the limit; no free descriptor (EMFILE) | `src/net/limited_listener.rs` |
//! | the decision about an accepted client; errors of accept(2), by class | `src/net/accept.rs` |
//! | the limit on clients, also from one address, and their count | `src/net/limiter.rs` |
//! | the end of a message | `src/session/framing.rs` |
//! | the deadlines of a connection | `src/session/timers.rs` |
//! | the values of its limits | `src/session/limits.rs` |
//! | a halt of the process | `src/drive/halt.rs` |
//! | a turn of the readiness loop | `src/reactor/mod.rs` |
//! | the wait of the model `poll` | `src/reactor/poll.rs` |
//! | the thread that computes heavy messages; the slots for those of threads | `src/reactor/compute.rs`, `src/drive/slots.rs` |
//! | the words of `serve --explain` for the calls of a kernel, and on a socket | `src/reactor/explained.rs`, `src/drive/explained.rs` |
//! | the stages of a stop | `src/model/shutdown.rs` |
//! | the work of each stage; the event loop | `src/model/event_loop.rs` |
//! | the differences between models | `src/model/design.rs` |
//! | the threads, and the processes, that are started beforehand | `src/model/pool.rs`, `src/model/process.rs` |
//! | the descriptors that are passed to processes | `src/model/handover.rs` |
//! | the services by name | `src/service/spec.rs` |
//! | the close reasons | `src/session/close_reason.rs` |
//! | the counters of a server | `src/model/stats.rs` |
//! | the rows of quiz results | `src/model/results.rs` |
//! | the exit codes | `src/error.rs` |
//! | the latencies of a load (its histogram) | `src/load/recorder.rs` |
//! | the statistics of a comparison | `src/compare/statistics.rs` |
//! | a server under test: its start, its processes, its end | `src/subject/mod.rs`, `supervisor.rs` |
//! | the design of a server, from what its threads wait in | `src/grade/design.rs` |
//! | the lessons of `show`; the narrator of each | `src/lesson/mod.rs`, `narrator.rs` |
//! | how a server speaks, found out by the first exchanges | `src/grade/learning.rs` |
//! | the readiness loop on a simulated kernel | `tests/simulator/` |
//!
//! The modules are public for `src/main.rs` and for the tests.

pub mod arithmetic;
pub mod background_writer;
pub mod buffer;
pub mod choice;
pub mod cli;
pub mod client;
pub mod compare;
pub mod drive;
pub mod duration;
pub mod error;
pub mod escape;
pub mod explain;
pub mod grade;
pub mod lesson;
pub mod load;
pub mod model;
pub mod net;
pub mod number;
pub mod random;
pub mod reactor;
pub mod service;
pub mod session;
pub mod signal;
pub mod subject;
pub mod with;
