//! socklab: a laboratory for TCP servers.
//!
//! The design in one sentence: a **service** is a state machine without I/O, a **session** turns
//! bytes into its events and its replies into bytes, and every server **model** only moves bytes
//! between a socket and a session. One service therefore runs unchanged under every server design,
//! and services, sessions and the readiness loop are tested without a socket, a thread or a clock.
//!
//! This chapter is the architecture of the tree: the words, the layers, the way of one message, one
//! connection and one stop, and the shapes that come back everywhere. The rules for changing it are
//! in `.github/CONTRIBUTING.md`.
//!
//! # Words
//!
//! Each has one meaning, and each thing one word. The sources are RFC 9293 (TCP), POSIX, the
//! documentation of mio and tokio, and "UNIX Network Programming".
//!
//! | word | meaning |
//! | --- | --- |
//! | turn | one iteration of the readiness loop: wait, mark, expire, run, reap |
//! | slice, budget | the run of one connection within a turn, and the most work that it may do |
//! | work | the cost of a step, in products of 64-bit limbs |
//! | inbox, outbox | bytes received and not served; bytes written and not sent |
//! | message | the input of one step of a service; its end is found by the framing mode |
//! | gap | silence that ends a message without a terminator |
//! | drain | stop accepting, answer what has arrived, close |
//! | linger | our FIN is out; receive and discard until the peer's FIN |
//! | limiter, permit | the limit on clients; one client's share of it, released when dropped |
//! | admission | the decision about a client that was accepted: serve, reply busy, shed, reset |
//! | close reason | the reason for which a connection ended |
//! | stage | of a stop: serving, emptying the accept queues, closing, over |
//! | stats, traffic | the counters of a server: clients by close reason; messages and bytes |
//! | worker | a thread or process that serves a client; in a load, a thread that has connections |
//! | workload | the requests of a load, and the replies that must come back |
//!
//! # Layers
//!
//! A file imports only from lower layers and from its own module, and no modules import each other
//! in a circle. `tests/tidy.rs` holds the tree to both.
//!
//! | layer | modules | knows nothing of |
//! | --- | --- | --- |
//! | 0 | [`background_writer`], [`buffer`], [`choice`], [`duration`], [`error`], [`escape`], [`number`], [`random`] | everything else |
//! | 1 | [`arithmetic`]: the language of the calculator | messages |
//! | 2 | [`service`]: calc, echo, hello, quiz, fourops, busy | sockets, clocks, framing |
//! | 3 | [`session`]: framing, inbox, outbox, phases, timers: one connection's life | sockets, clocks |
//! | 4 | [`drive`]: the blocking and the ready driver; [`net`]: listener, limiter, accept errors; [`signal`] | services |
//! | 5 | [`reactor`]: the readiness loop, on a [`Kernel`](reactor::Kernel) | listeners, models |
//! | 6 | [`model`]: the server designs; [`load`]: the load generator; [`client`] | the command line |
//! | 7 | [`cli`]: options, turned into plain configurations, and printed for child processes | sockets |
//! | 8 | `main.rs`: parse, log, run, exit code | logic |
//!
//! # The way of one message
//!
//! A request of the service calc under the model loop, and the functions that it passes:
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
//!  arithmetic                             evaluate_fast, or evaluate_full
//! ```
//!
//! 1. The kernel reports the socket readable. The event only marks the connection
//!    ([`Readiness`](drive::ready::Readiness)) and puts its key into a queue.
//! 2. The turn runs the queued connections. Activating a session ([`session::Session::activate`])
//!    borrows buffers from the loop's pool and gives the slice its budget.
//! 3. The driver ([`drive::ready::run`]) asks one question, [`session::Want`], until the answer is
//!    to wait. It receives into the inbox.
//! 4. The framer finds the message, the service takes it in one [`service::Service::step`] and
//!    writes its reply, and the session appends the terminator that the message had.
//! 5. The next answer is to send. A whole batch of requests is answered by one send. A short
//!    receive is believed, so a request costs two system calls and its share of a wait.
//! 6. When nothing is left to do, the timer of the connection is armed for the session's deadline,
//!    and the buffers go back to the pool. An idle connection owns none.
//!
//! A thread or a process goes the same way with [`drive::blocking`] instead of reactor and ready.
//!
//! # The way of one connection
//!
//! ```text
//!  accept(2) ──▶ LimitedListener::accept ──▶ Admission ─┬─ Serve(permit) ──▶ Client ─┬─▶ reactor
//!                     │        ▲                        ├─ ReplyBusy(permit) ────────┘   thread
//!               Limiter: is there a permit?             ├─ Shed                          process
//!                              │                        └─ Reset                            │
//!                              └── permit dropped ◀── Stats::left(client, reason) ◀─────────┘
//! ```
//!
//! [`net::limited_listener`] accepts and admits; the permit is inside the admission. The event loop
//! of the model gives it to a `Client`, the record that travels with the connection: as the
//! reactor's data, in a thread's closure, or in the map of processes. Whoever sees the connection
//! end hands the client to `Stats::left`, which drops the permit, counts the close reason and logs
//! it. The permit is released before the socket is closed.
//!
//! The phases of a session, and the events that lead from one to the next:
//!
//! ```text
//!  New ──▶ Serving ──────────────▶ Flushing ──────────▶ Lingering ─────────▶ Finished
//!  first     │  service closes,      │  outbox empty:     │  peer's FIN,        ▲
//!  activation│  end of input,        │  our FIN is sent   │  2 s of silence,    │
//!            │  message too long     │                    │  16 MiB discarded   │
//!            │                       └── peer's FIN was seen before ─────────────┤
//!            └── reset, idle, unread, cut ───────────────────────────────────────┘
//! ```
//!
//! A connection in the queues of the reactor:
//!
//! ```text
//!             event, timer, added                    budget used up
//!   idle ────────────────────────▶ ready ──▶ run ───────────────────▶ deferred
//!    ▲                                        │ ▲                         │
//!    └────────────── blocked, timer armed ────┘ └── in the next turn ─────┘
//!                                             └── finished ──▶ reap
//! ```
//!
//! In a turn, the ready connections run first, then those deferred from an earlier turn, each group
//! for at most [`SLICES_PER_TURN`](reactor::SLICES_PER_TURN) slices of work. Then the kernel is
//! asked again.
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
//! # The way of one stop
//!
//! 1. SIGTERM or SIGINT is an event of the leading loop. It raises the stage of `model/shutdown.rs`
//!    from serving to emptying, and wakes the other loops.
//! 2. Each loop accepts the clients in its own accept queue and arrives at the barrier. No listener
//!    may close before that: the kernel gives new connections to all listeners of an address
//!    (`SO_REUSEPORT`), and resets the queue of the one that closes.
//! 3. In the stage closing, each loop closes its listener and drains: an empty socket is now the
//!    end of input, so every message that has arrived is answered. Threads are woken by a shutdown
//!    of their socket's receiving half, processes by the end of a pipe.
//! 4. A loop without connections, or at the end of the drain time, arrives at the second barrier.
//!    When all have, the stage is over, connections that are left are cut, and the counters are
//!    logged. A second signal goes there at once.
//!
//! # Shapes
//!
//! - Time is an argument. Only drivers, loops and the edges of commands read a clock.
//! - An event is a hint. Write first, and wait after a refusal; a stale hint costs one call that
//!   would block.
//! - What has arrived comes before what is due: a timer fires only after a receive that found
//!   nothing.
//! - Room is reserved before a step, so a service's writing cannot fail, and backpressure needs no
//!   code.
//! - Failures are of three kinds. A peer's ends one connection, the machine's pauses accepting, and
//!   a bug of ours asserts.
//! - Errors on the wire are replies, not `Err`.
//! - Every limit is a named constant or an option, with its unit; limits that depend on each other
//!   are related by assertions at compile time.
//!
//! # Where things are
//!
//! | question | place |
//! | --- | --- |
//! | Who accepts, and what happens without a free descriptor (EMFILE)? | [`net::limited_listener`], [`net::accept`] |
//! | How many clients may there be, how many are there? | [`net::limiter`] |
//! | Where does a message end? | `session/framing.rs` |
//! | When does a connection time out? | `session/timers.rs`; its limits: [`session::Limits`] |
//! | What happens in a turn of the loop? | [`reactor::Reactor::turn`] |
//! | How does a server stop? | `model/shutdown.rs`, `model/event_loop.rs` |
//! | Which model is what? | `model/design.rs` |
//! | Which services are there? | `service/spec.rs` |
//! | Who writes a row of quiz results? | `model/results.rs` |
//! | Which exit code means what? | [`error::Exit`] |
//! | Where are a load's latencies counted? | [`load::recorder`] |
//! | How is the loop tested without a kernel? | `tests/simulator` |
//!
//! The modules are public for the tests; the program itself needs [`cli`], [`client`], [`error`],
//! [`load`] and [`model`].

pub mod arithmetic;
pub mod background_writer;
pub mod buffer;
pub mod choice;
pub mod cli;
pub mod client;
pub mod drive;
pub mod duration;
pub mod error;
pub mod escape;
pub mod load;
pub mod model;
pub mod net;
pub mod number;
pub mod random;
pub mod reactor;
pub mod service;
pub mod session;
pub mod signal;
