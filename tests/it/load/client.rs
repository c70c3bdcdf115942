//! The load client in virtual time: latencies as theory has them when the server stalls, and every
//! reply that differs from the expected one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use socklab::buffer::Buffer;
use socklab::load::budget::Budget;
use socklab::load::conn_stats::ConnStats;
use socklab::load::counts::Counts;
use socklab::load::intervals::Intervals;
use socklab::load::load_client::LoadClient;
use socklab::load::recorder::Recorder;
use socklab::load::schedule::Schedule;
use socklab::load::settings::ClientSettings;
use socklab::load::workload::Workload;
use socklab::random::Random;
use socklab::service::{BUSY_TEXT, Delimiter, Event, Next, Output, Service};

const TIMEOUT: Duration = Duration::from_secs(5);

/// A load on a simulated server in virtual time, which passes only when there is nothing to do.
struct Simulation<S> {
    now: Instant,
    clients: Vec<LoadClient>,
    /// The wait of each client.
    next: Vec<Next>,
    /// The recorder of each thread.
    recorders: Vec<Arc<Mutex<Recorder>>>,
    /// Replies on their way: the time of arrival, the client, and the bytes.
    replies: VecDeque<(Instant, usize, Vec<u8>)>,
    /// Returns the replies to a request with their times of arrival, which must not decrease.
    server: S,
}

impl<S: FnMut(usize, &[u8], Instant) -> Vec<(Instant, Vec<u8>)>> Simulation<S> {
    /// A load of one thread.
    fn new(
        start: Instant,
        settings: ClientSettings,
        connections: usize,
        length: Length,
        server: S,
    ) -> Self {
        Self::with_threads(start, settings, &[connections], length, server)
    }

    /// A load of several threads, which have these numbers of connections.
    fn with_threads(
        start: Instant,
        settings: ClientSettings,
        connections: &[usize],
        length: Length,
        server: S,
    ) -> Self {
        let (requests, end) = match length {
            Length::Time(time) => (None, Some(start + time)),
            Length::Requests(n) => (Some(n), None),
        };
        let budget = Arc::new(Budget::new(requests));
        let settings = Arc::new(settings);
        let (mut recorders, mut clients) = (Vec::new(), Vec::new());
        for &count in connections {
            let recorder = recorder(&budget, start, end);
            for _ in 0..count {
                let stats = Arc::new(ConnStats::new(clients.len(), 0));
                let (settings, recorder) = (Arc::clone(&settings), Arc::clone(&recorder));
                clients.push(LoadClient::new(settings, recorder, stats, start));
            }
            recorders.push(recorder);
        }
        Self {
            now: start,
            next: vec![Next::Read; clients.len()],
            clients,
            recorders,
            replies: VecDeque::new(),
            server,
        }
    }

    /// Runs until no client waits, and returns the recorder of the first thread. Then every request
    /// is in one count.
    fn run(mut self) -> Arc<Mutex<Recorder>> {
        self.run_to_rest();
        let Self { clients, recorders, .. } = self;
        drop(clients);
        for recorder in &recorders {
            assert!(recorder.lock().unwrap().counts().add_up(0, 0));
        }
        Arc::clone(&recorders[0])
    }

    fn run_to_rest(&mut self) {
        for n in 0..self.clients.len() {
            self.step(n, Event::Open);
        }
        loop {
            let waits = self.next.iter().enumerate().filter_map(|(n, next)| match next {
                Next::ReadUntil(at) => Some((*at, n)),
                _ => None,
            });
            let wait = waits.min();
            match (self.replies.front().map(|reply| reply.0), wait) {
                (None, None) => return,
                (Some(at), wait) if wait.is_none_or(|(wait, _)| at <= wait) => {
                    let (at, n, bytes) = self.replies.pop_front().unwrap();
                    self.now = self.now.max(at);
                    if self.next[n] != Next::Close {
                        self.step(n, Event::Message(&bytes));
                    }
                }
                (_, Some((at, n))) => {
                    self.now = self.now.max(at);
                    self.step(n, Event::Timeout);
                }
                (Some(_), None) => unreachable!("a reply is taken above"),
            }
        }
    }

    fn step(&mut self, n: usize, event: Event<'_>) {
        let mut buffer = Buffer::default();
        let mut out = Output::new(&mut buffer, Delimiter::None);
        self.next[n] = self.clients[n].step(event, self.now, &mut out);
        if !buffer.is_empty() {
            let replies = (self.server)(n, buffer.pending(), self.now);
            self.replies.extend(replies.into_iter().map(|(at, bytes)| (at, n, bytes)));
        }
    }
}

#[derive(Clone, Copy)]
enum Length {
    Time(Duration),
    Requests(u64),
}

fn settings(workload: Workload, pipeline: usize, schedule: Option<Schedule>) -> ClientSettings {
    ClientSettings {
        workload: Arc::new(workload),
        pipeline,
        schedule,
        reconnect: false,
        timeout: TIMEOUT,
        hint: OnceLock::new(),
    }
}

/// A recorder with one interval.
fn recorder(budget: &Arc<Budget>, start: Instant, end: Option<Instant>) -> Arc<Mutex<Recorder>> {
    let intervals = Intervals::new(start, Duration::from_secs(3600));
    Arc::new(Mutex::new(Recorder::new(Arc::clone(budget), end, intervals)))
}

#[expect(clippy::disallowed_methods, reason = "a start for virtual time")]
fn any_time() -> Instant {
    Instant::now()
}

/// Ten seconds with 1000 requests per second, and no reply during one of them. A tenth of the
/// requests wait, and their waits are spread evenly from zero to one second.
#[test]
fn a_stall_of_a_second_has_the_latencies_of_theory() {
    let start = any_time();
    let second = Duration::from_secs(1);
    let (stall, over) = (start + 4 * second, start + 5 * second);
    let swift = Duration::from_micros(10);
    let mut last = start;
    let server = move |_: usize, request: &[u8], now: Instant| {
        last = last.max(if now >= stall && now < over { over } else { now } + swift);
        vec![(last, request.to_vec())]
    };
    let schedule = Schedule::new(start, 1000, 10);
    let settings = settings(Workload::echo(16, 1), 1, Some(schedule));
    let recorder = Simulation::new(start, settings, 10, Length::Time(10 * second), server).run();
    let recorder = recorder.lock().unwrap();
    let counts = *recorder.counts();
    assert_eq!((counts.asked, counts.answered, counts.faults()), (10_000, 10_000, 0));

    let [due, sending] = [&recorder.latencies().from_due, &recorder.latencies().from_sending];
    let millis = |nanos: u64| Duration::from_nanos(nanos).as_secs_f64() * 1000.0;
    for (quantile, theory) in [(0.95, 500.0), (0.98, 800.0), (0.99, 900.0), (0.999, 990.0)] {
        let measured = millis(due.value_at_quantile(quantile));
        assert!(
            (measured - theory).abs() < 0.02 * theory,
            "{quantile}: {measured} ms, not {theory} ms"
        );
    }
    assert!((millis(due.max()) - 1000.0).abs() < 20.0);
    assert!((due.mean() / 1e6 - 50.0).abs() < 1.0, "a tenth of them waits half a second");
    assert!(millis(due.value_at_quantile(0.89)) < 1.0, "the others do not wait");

    // One request of each connection was on its way when the server stalled. Counted from sending,
    // ten replies in ten thousand are slow.
    assert!(millis(sending.value_at_quantile(0.998)) < 1.0);
    assert!(millis(sending.max()) > 980.0);
    // All that were due in the stall but those ten, and some more until the load had caught up.
    assert!((980..1010).contains(&counts.late), "{} late", counts.late);
}

#[test]
fn requests_that_were_never_sent_are_not_in_the_latencies() {
    let start = any_time();
    let end = start + Duration::from_secs(2);
    // After one second, the server does not reply.
    let server = move |_: usize, request: &[u8], now: Instant| {
        let silent = now >= start + Duration::from_secs(1);
        if silent { Vec::new() } else { vec![(now, request.to_vec())] }
    };
    let schedule = Schedule::new(start, 100, 1);
    let settings = settings(Workload::echo(16, 1), 1, Some(schedule));
    let length = Length::Time(end - start);
    let recorder = Simulation::new(start, settings, 1, length, server).run();
    let recorder = recorder.lock().unwrap();
    // The request on its way in the stall got no reply, and delayed the 99 behind it.
    assert_eq!((recorder.counts().asked, recorder.counts().missing), (101, 1));
    assert_eq!(recorder.latencies().from_due.len(), 100);
}

/// The first thread has two of three connections, and so two of three requests: half of them would
/// take the other thread one and a half seconds.
#[test]
fn a_load_of_several_threads_follows_its_schedule() {
    let start = any_time();
    let mut last = start;
    let server = |_: usize, request: &[u8], now: Instant| {
        last = now;
        vec![(now, request.to_vec())]
    };
    let settings = settings(Workload::echo(16, 1), 1, Some(Schedule::new(start, 300, 3)));
    let length = Length::Requests(300);
    let load = Simulation::with_threads(start, settings, &[2, 1], length, server);
    let first = load.run().lock().unwrap().counts().asked;
    assert_eq!((first, last), (200, start + Duration::from_nanos(299 * 1_000_000_000 / 300)));
}

/// Runs a load of `count` expressions, four in flight, on a server whose replies are changed by
/// `spoil`, which is given the number of the first. Returns the counts and the examples of faults.
fn counted(count: u64, spoil: impl Fn(usize, &mut Vec<Vec<u8>>)) -> (Counts, Vec<String>) {
    let start = any_time();
    let sums: Vec<String> = (0..50).map(|n| format!("{n}")).collect();
    let mut count_so_far = 0;
    let server = |_: usize, requests: &[u8], now: Instant| {
        let lines = requests.split_inclusive(|&byte| byte == b'\n');
        let mut replies: Vec<Vec<u8>> = lines.map(<[u8]>::to_vec).collect();
        let first = count_so_far;
        count_so_far += replies.len();
        spoil(first, &mut replies);
        vec![(now + Duration::from_millis(1), replies.concat())]
    };
    let settings = settings(Workload::calc(&sums, socklab::arithmetic::Dialect::Python), 4, None);
    let recorder = Simulation::new(start, settings, 1, Length::Requests(count), server).run();
    let recorder = recorder.lock().unwrap();
    (*recorder.counts(), recorder.examples().to_vec())
}

/// The counts that a fault may change: right, wrong, duplicated, merged, reordered, missing. A
/// duplicated reply is an additional line; the others are the requests.
fn reply_counts(counts: &Counts) -> [u64; 6] {
    let Counts { answered, wrong, duplicated, merged, reordered, missing, .. } = *counts;
    [answered, wrong, duplicated, merged, reordered, missing]
}

/// Calls `spoil` for the batch of four replies that begins with number 20.
fn at_20(first: usize, spoil: impl FnOnce()) {
    if first == 20 {
        spoil();
    }
}

#[test]
fn a_correct_server_has_no_faults() {
    let (counts, examples) = counted(40, |_, _| {});
    assert_eq!(reply_counts(&counts), [40, 0, 0, 0, 0, 0]);
    assert!(counts.is_clean() && examples.is_empty());
}

#[test]
fn a_wrong_reply_is_found_and_shown() {
    let (counts, examples) =
        counted(40, |first, replies| at_20(first, || replies[1] = b"\x1b[2J\n".to_vec()));
    assert_eq!(reply_counts(&counts), [39, 1, 0, 0, 0, 0]);
    assert_eq!(examples, [r#"connection 0, reply 21: expected "21\n", got "\x1b[2J\n""#]);
}

#[test]
fn a_duplicated_reply_is_found() {
    let spoil = |first, replies: &mut Vec<Vec<u8>>| {
        at_20(first, || replies.insert(2, replies[1].clone()));
    };
    assert_eq!(reply_counts(&counted(40, spoil).0), [40, 0, 1, 0, 0, 0]);
}

#[test]
fn swapped_replies_are_found() {
    let spoil = |first, replies: &mut Vec<Vec<u8>>| at_20(first, || replies.swap(1, 2));
    assert_eq!(reply_counts(&counted(40, spoil).0), [39, 0, 0, 0, 1, 0]);
}

#[test]
fn replies_merged_into_one_line_are_found() {
    let spoil = |first, replies: &mut Vec<Vec<u8>>| {
        at_20(first, || {
            let end = replies[1].len() - 1;
            replies[1].truncate(end);
        });
    };
    // The first of the two has lost its newline, the second is whole.
    assert_eq!(reply_counts(&counted(40, spoil).0), [39, 0, 0, 1, 0, 0]);
}

#[test]
fn a_missing_reply_is_found_by_the_next_one() {
    let spoil = |first, replies: &mut Vec<Vec<u8>>| at_20(first, || drop(replies.remove(1)));
    assert_eq!(reply_counts(&counted(40, spoil).0), [39, 0, 0, 0, 0, 1]);
}

#[test]
fn a_missing_last_reply_is_found_by_the_timeout() {
    let spoil = |first, replies: &mut Vec<Vec<u8>>| at_20(first, || drop(replies.pop()));
    let (counts, examples) = counted(24, spoil);
    assert_eq!(reply_counts(&counts), [23, 0, 0, 0, 0, 1]);
    assert_eq!(examples, ["connection 0: no reply to request 23 in time"]);
}

/// Nothing can be said of the replies behind a line without an end: the first is wrong, the others
/// are missing.
#[test]
fn a_line_without_an_end_is_one_wrong_reply() {
    let spoil = |first, replies: &mut Vec<Vec<u8>>| {
        at_20(first, || *replies = vec![vec![b'x'; 2 << 20]]);
    };
    assert_eq!(reply_counts(&counted(40, spoil).0), [20, 1, 0, 0, 0, 3]);
}

#[test]
fn a_full_server_has_rejected_the_requests_in_flight() {
    // The text comes in two pieces, and before any reply.
    let busy = |count| {
        let start = any_time();
        let text = BUSY_TEXT.as_bytes();
        let server = move |_: usize, _: &[u8], now: Instant| {
            vec![(now, text[..count].to_vec()), (now, text[count..].to_vec())]
        };
        let settings = settings(Workload::echo(16, 4), 4, None);
        let recorder = Simulation::new(start, settings, 1, Length::Requests(40), server).run();
        *recorder.lock().unwrap().counts()
    };
    for count in 1..BUSY_TEXT.len() {
        let counts = busy(count);
        assert_eq!((counts.asked, counts.rejected, counts.faults()), (4, 4, 0), "{count}");
    }
}

/// The process was stopped for longer than the timeout. The first receive brings one of four
/// replies, and the others are still in the socket.
#[test]
fn replies_that_arrived_while_the_process_was_stopped_are_not_missing() {
    let start = any_time();
    let settings = Arc::new(settings(Workload::echo(16, 4), 4, None));
    let recorder = recorder(&Arc::new(Budget::new(Some(4))), start, None);
    let stats = Arc::new(ConnStats::new(0, 0));
    let mut client = LoadClient::new(settings, Arc::clone(&recorder), stats, start);
    let mut buffer = Buffer::default();
    client.step(Event::Open, start, &mut Output::new(&mut buffer, Delimiter::None));
    client.step(Event::Timeout, start, &mut Output::new(&mut buffer, Delimiter::None));
    let replies = buffer.pending().to_vec();
    let later = start + 100 * TIMEOUT;
    for reply in replies.chunks(16) {
        let mut out = Output::new(&mut buffer, Delimiter::None);
        assert_ne!(client.step(Event::Message(reply), later, &mut out), Next::Close);
    }
    drop(client);
    assert_eq!(reply_counts(recorder.lock().unwrap().counts()), [4, 0, 0, 0, 0, 0]);
}

/// Each step of a client asserts the sums, and so does the end of a simulation.
#[test]
fn whatever_a_server_sends_the_counts_add_up() {
    for seed in 0..2000 {
        let mut random = Random::new(seed);
        let start = any_time();
        let mut last = start;
        let server = |_: usize, requests: &[u8], now: Instant| {
            let mut lines: Vec<Vec<u8>> =
                requests.split_inclusive(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect();
            for _ in 0..random.below(3) {
                spoil(&mut lines, &mut random);
            }
            // The bytes come in pieces, some of them after the timeout.
            let (mut bytes, mut pieces) = (lines.concat(), Vec::new());
            while !bytes.is_empty() {
                let most = u32::try_from(bytes.len()).unwrap();
                let rest = bytes.split_off(1 + random.below(most) as usize);
                let delay = if random.below(50) == 0 { TIMEOUT } else { Duration::ZERO };
                last = last.max(now) + delay;
                pieces.push((last, std::mem::replace(&mut bytes, rest)));
            }
            pieces
        };
        let settings = settings(Workload::echo(5, 4), 4, None);
        let load = Simulation::new(start, settings, 2, Length::Requests(40), server);
        let counts = *load.run().lock().unwrap().counts();
        assert!(counts.asked <= 40, "seed {seed}: {counts:?}");
    }
}

/// Makes one fault in the replies.
fn spoil(lines: &mut Vec<Vec<u8>>, random: &mut Random) {
    if lines.is_empty() {
        return;
    }
    let at = random.below(u32::try_from(lines.len()).unwrap()) as usize;
    match random.below(7) {
        0 => lines[at] = b"wrong\n".to_vec(),
        1 => drop(lines.remove(at)),
        2 => lines.insert(at, lines[at].clone()),
        3 => lines.swap(0, at),
        4 => drop(lines[at].pop()),
        5 => lines.truncate(at),
        _ => lines.insert(at, BUSY_TEXT.as_bytes().to_vec()),
    }
}
