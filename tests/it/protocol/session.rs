//! The session by itself: bytes in, bytes out, and time as an argument.

use std::time::{Duration, Instant};

use socklab::service::{self, Busy, Event, Framing, Next, Output};
use socklab::session::{
    CloseReason, GAP, LINE_GAP, LINGER, LINGER_BYTES, Limits, OUTBOX_LIMIT, Want,
};

use crate::common::connection::{Connection, peer};
use crate::common::transcript::{Service, TRANSCRIPTS, Transcript};

/// Plays a transcript in pieces of `piece` bytes, with `trailing` bytes behind its input.
fn play(transcript: &Transcript, piece: usize, trailing: &[u8]) {
    // A thousand turns take seconds under Miri.
    if cfg!(miri) && transcript.input.len() / 1000 > piece {
        return;
    }
    let mut connection = Connection::to(transcript.service);
    connection.receive(&[transcript.input, trailing].concat(), piece);
    if transcript.half_close {
        connection.end_input();
    }
    let output = connection.output.escape_ascii().to_string();
    assert_eq!(output, transcript.output.escape_ascii().to_string(), "{}", transcript.name);
    assert_eq!(connection.session.close_reason(), transcript.ending, "{}", transcript.name);
    if transcript.ending.is_some() {
        assert!(connection.shut_down || connection.finished, "{}", transcript.name);
    }
}

#[test]
fn every_transcript_holds_fed_whole() {
    for transcript in TRANSCRIPTS {
        play(transcript, usize::MAX, b"");
    }
}

#[test]
fn every_transcript_holds_fed_byte_by_byte() {
    for transcript in TRANSCRIPTS {
        play(transcript, 1, b"");
    }
}

#[test]
fn every_transcript_holds_with_bytes_behind_it() {
    for piece in [1, 7, usize::MAX] {
        for transcript in TRANSCRIPTS {
            play(transcript, piece, transcript.trailing);
        }
    }
}

#[test]
fn a_pipelined_batch_is_answered_in_one_send() {
    let mut connection = Connection::to(Service::Calc);
    let now = connection.now;
    let mut turn = connection.activate();
    let Want::Receive(room) = turn.want() else { panic!("a new session receives") };
    room[..400].copy_from_slice(&b"1+2\n".repeat(100));
    turn.received(400, now);
    assert_eq!(turn.want(), Want::Send(&b"3\n".repeat(100)));
}

#[test]
fn an_idle_session_holds_no_buffer() {
    let mut connection = Connection::to(Service::Calc);
    connection.receive(b"1 + 2\n", usize::MAX);
    assert_eq!(connection.session.bytes_held(), 0);
}

#[test]
fn a_session_with_half_a_line_holds_just_that() {
    let mut connection = Connection::to(Service::Calc);
    connection.receive(b"1 + 2\n1 + ", usize::MAX);
    assert_eq!(connection.session.bytes_held(), 4);
}

#[test]
fn a_peer_that_does_not_read_is_not_received_from_and_memory_stays_bounded() {
    let mut connection = Connection::to(Service::Echo);
    connection.reading = false;
    let (block, mut sent) = (vec![b'x'; 100_000], 0);
    loop {
        let taken = connection.exchange(Some(&block));
        if taken == 0 {
            break;
        }
        sent += taken;
        assert!(sent <= 2 * OUTBOX_LIMIT, "{sent} bytes were taken in");
    }
    assert!(connection.session.bytes_held() <= 2 * OUTBOX_LIMIT.next_power_of_two());

    connection.reading = true;
    connection.end_input();
    assert_eq!(connection.output.len(), sent);
}

#[test]
fn silence_ends_no_message_while_replies_are_unsent() {
    let limits = Limits { unread: 3 * Limits::default().arrival, ..Limits::default() };
    let mut connection = Connection::with_limits(Service::Calc.spec().build(peer(1)), limits);
    connection.reading = false;
    connection.exchange(Some(b"1\n22\n2 +"));
    // The rest of the line may wait in the kernel: nothing is received while replies are unsent.
    let nearly = limits.arrival * 2 / 3;
    for reply in [b'1', b'\n', b'2'] {
        connection.wait(nearly);
        let now = connection.now;
        let mut turn = connection.activate();
        let Want::Send(bytes) = turn.want() else { panic!("there is more to send") };
        assert_eq!(bytes[0], reply);
        turn.sent(1, now);
    }
    connection.wait(nearly);
    connection.reading = true;
    connection.receive(b" 3\n4", usize::MAX);
    assert_eq!(connection.output, b"2\n5\n");
    connection.wait(LINE_GAP);
    assert_eq!(connection.output, b"2\n5\n4");
}

#[test]
fn a_partial_send_continues_where_it_stopped() {
    let mut connection = Connection::to(Service::Calc);
    connection.reading = false;
    connection.receive(b"1\n22\n333\n", usize::MAX);
    let mut received = Vec::new();
    while received.len() < 9 {
        let now = connection.now;
        let mut turn = connection.activate();
        let Want::Send(bytes) = turn.want() else { panic!("there is more to send") };
        received.push(bytes[0]);
        turn.sent(1, now);
    }
    assert_eq!(received, b"1\n22\n333\n");
    assert!(matches!(connection.activate().want(), Want::Receive(_)));
}

#[test]
fn a_closing_service_half_closes_and_waits_for_the_peer() {
    let mut connection = Connection::with(Box::new(Busy::full()));
    connection.exchange(None);
    assert_eq!(connection.output, b"busy: the server is full, try again later\n");
    assert!(connection.shut_down && !connection.finished);
    connection.receive(b"what the client had already sent\n", usize::MAX);
    assert!(!connection.finished);
    connection.end_input();
    assert!(connection.finished);
    assert_eq!(connection.session.close_reason(), Some(CloseReason::Served));
}

#[test]
fn lingering_ends_at_its_deadline() {
    let mut connection = Connection::with(Box::new(Busy::full()));
    connection.exchange(None);
    let moment = Duration::from_nanos(1);
    connection.wait(LINGER.saturating_sub(moment));
    assert!(!connection.finished);
    connection.wait(moment);
    assert!(connection.finished);
}

#[test]
#[cfg_attr(miri, ignore = "it moves megabytes")]
fn lingering_ends_when_the_peer_sends_without_end() {
    let mut connection = Connection::with(Box::new(Busy::full()));
    connection.exchange(None);
    let block = vec![0; 50_000];
    for _ in 0..=LINGER_BYTES as usize / block.len() {
        connection.exchange(Some(&block));
    }
    assert!(connection.finished);
}

#[test]
fn a_silent_client_is_closed_after_the_idle_timeout() {
    let mut connection = Connection::to(Service::Calc);
    let idle = Limits::default().idle;
    let nearly = idle.saturating_sub(Duration::from_secs(1));
    connection.wait(nearly);
    connection.receive(b"1\n", usize::MAX);
    connection.wait(nearly);
    assert!(!connection.finished, "it has sent a line");
    connection.wait(Duration::from_secs(1));
    assert!(connection.finished);
    assert_eq!(connection.session.close_reason(), Some(CloseReason::Idle));
}

#[test]
fn a_client_that_never_reads_is_closed_after_the_unread_timeout() {
    let mut connection = Connection::to(Service::Calc);
    connection.reading = false;
    connection.receive(b"1\n", usize::MAX);
    let unread = Limits::default().unread;
    assert_eq!(connection.session.deadline(), Some(connection.now + unread));
    connection.wait(unread);
    assert!(connection.finished);
    assert_eq!(connection.session.close_reason(), Some(CloseReason::Unread));
}

/// The session of a client that is owed 30,000 bytes and does not read.
fn owed() -> Connection {
    let mut connection = Connection::to(Service::Calc);
    connection.reading = false;
    connection.receive(b"(1,) * 10000\n", usize::MAX);
    // The message is heavy.
    connection.exchange(None);
    connection
}

/// The client reads `n` bytes after each `pause`. Returns the time after which it is closed, or
/// `longest` if it is kept so long.
fn kept_for(connection: &mut Connection, n: usize, pause: Duration, longest: Duration) -> Duration {
    let start = connection.now;
    while connection.now < start + longest && connection.session.close_reason().is_none() {
        connection.wait(pause);
        let now = connection.now;
        if connection.session.close_reason().is_none() {
            connection.activate().sent(n, now);
        }
    }
    connection.now - start
}

#[test]
#[cfg_attr(miri, ignore = "thousands of turns")]
fn a_client_that_reads_16_bytes_a_second_is_kept() {
    let second = Duration::from_secs(1);
    let longest = 1000 * second;
    for (n, pause) in [(16, second), (1, second / 16), (400, 25 * second), (960, 59 * second)] {
        let mut connection = owed();
        assert!(kept_for(&mut connection, n, pause, longest) >= longest, "{n} bytes");
    }
}

#[test]
#[cfg_attr(miri, ignore = "thousands of turns")]
fn a_client_that_reads_more_slowly_is_closed_after_the_unread_timeout() {
    let (second, unread) = (Duration::from_secs(1), Limits::default().unread);
    // A byte is worth 1/16 second.
    for (n, pause, longest) in
        [(1, second, unread + 4 * second), (8, second, 2 * unread), (15, second, 17 * unread)]
    {
        let mut connection = owed();
        let kept = kept_for(&mut connection, n, pause, 100 * unread);
        assert!((unread..=longest).contains(&kept), "{n} bytes a second: {kept:?}");
        assert_eq!(connection.session.close_reason(), Some(CloseReason::Unread));
        assert!(connection.finished);
    }
}

#[test]
fn what_was_read_before_is_no_credit() {
    let mut connection = owed();
    let now = connection.now;
    connection.activate().sent(20_000, now);
    let unread = Limits::default().unread;
    assert_eq!(connection.session.deadline(), Some(connection.now + unread));
    connection.wait(unread);
    assert_eq!(connection.session.close_reason(), Some(CloseReason::Unread));
}

#[test]
fn each_debt_has_its_own_time() {
    let mut connection = Connection::to(Service::Calc);
    let nearly = Limits::default().unread.saturating_sub(Duration::from_secs(1));
    connection.receive(b"2\n3\n", usize::MAX);
    for _ in 0..4 {
        connection.reading = false;
        // The partial line arrives before its client owes anything.
        connection.receive(b"1 ", usize::MAX);
        connection.wait(LINE_GAP / 2);
        connection.receive(b"+ 1\n3", usize::MAX);
        connection.wait(nearly);
        connection.reading = true;
        connection.exchange(None);
        connection.receive(b"\n", usize::MAX);
    }
    assert_eq!(connection.output, b"2\n3\n".repeat(5));
}

#[test]
#[cfg_attr(miri, ignore = "thousands of turns")]
fn a_dripping_message_must_be_whole_within_the_arrival_timeout() {
    let mut connection = Connection::to(Service::Calc);
    // The arrival timeout of the first message ends with that message.
    connection.receive(b"1", usize::MAX);
    let (arrival, step) = (Limits::default().arrival, Duration::from_millis(20));
    connection.wait(step);
    connection.receive(b"\n2", usize::MAX);
    let start = connection.now;
    while connection.now + step < start + arrival {
        connection.wait(step);
        connection.receive(b" ", usize::MAX);
    }
    assert_eq!(connection.session.close_reason(), None);
    connection.wait(step);
    assert_eq!(connection.session.close_reason(), Some(CloseReason::TooSlow));
    assert!(connection.shut_down && !connection.finished, "it lingers");
    assert_eq!(connection.output, b"1\n");
}

#[test]
fn a_drain_answers_what_has_arrived_and_lingers_for_the_rest() {
    let mut connection = Connection::to(Service::Calc);
    connection.reading = false;
    connection.receive(b"1\n2", usize::MAX);
    connection.reading = true;
    let now = connection.now;
    connection.activate().end_input(now);
    connection.exchange(None);
    assert_eq!(connection.output, b"1\n2");
    assert!(connection.shut_down && !connection.finished);
    assert_eq!(connection.session.close_reason(), Some(CloseReason::Drained));
    connection.end_input();
    assert!(connection.finished);
}

/// Echoes a message, sleeps, and says that it is awake.
struct Sleeper {
    pause: Duration,
}

impl service::Service for Sleeper {
    fn framing(&self) -> Framing {
        Framing::Messages
    }

    fn step(&mut self, event: Event<'_>, now: Instant, out: &mut Output<'_>) -> Next {
        match event {
            Event::Open => Next::Read,
            Event::Message(text) => {
                out.write(text);
                Next::SleepUntil(now + self.pause)
            }
            Event::Timeout => {
                out.write(b"awake");
                Next::ReadUntil(now + self.pause)
            }
        }
    }
}

#[test]
fn messages_wait_while_the_service_sleeps() {
    let pause = Duration::from_millis(200);
    let mut connection = Connection::with(Box::new(Sleeper { pause }));
    connection.receive(b"a\r\nb\r\n", usize::MAX);
    assert_eq!(connection.output, b"a\r\n");
    assert_eq!(connection.session.deadline(), Some(connection.now + pause));
    connection.wait(pause / 2);
    assert_eq!(connection.output, b"a\r\n");
    connection.wait(pause / 2);
    assert_eq!(connection.output, b"a\r\nawake\r\nb\r\n");
}

#[test]
fn a_sleep_of_the_service_is_no_silence_of_the_client() {
    let idle = Limits::default().idle;
    let mut connection = Connection::with(Box::new(Sleeper { pause: 2 * idle }));
    connection.receive(b"a\n", usize::MAX);
    connection.wait(3 * idle / 2);
    assert!(!connection.finished);
    connection.wait(idle / 2);
    assert_eq!(connection.output, b"a\nawake\n");
}

#[test]
fn a_pause_begins_when_what_was_written_before_it_is_sent() {
    let pause = Duration::from_millis(200);
    let mut connection = Connection::with(Box::new(Sleeper { pause }));
    connection.reading = false;
    connection.exchange(Some(b"a\n"));
    connection.now += 3 * pause;
    let now = connection.now;
    connection.activate().sent(2, now);
    assert_eq!(connection.session.deadline(), Some(now + pause));
}

#[test]
fn a_pause_begins_with_the_last_of_several_sends() {
    let pause = Duration::from_millis(200);
    let mut connection = Connection::with(Box::new(Sleeper { pause }));
    connection.reading = false;
    connection.exchange(Some(b"a\n"));
    for _ in 0..2 {
        connection.now += 3 * pause;
        let now = connection.now;
        connection.activate().sent(1, now);
    }
    assert_eq!(connection.session.deadline(), Some(connection.now + pause));
}

#[test]
fn a_halt_moves_every_deadline() {
    let halt = Duration::from_secs(1);
    let pause = Duration::from_millis(200);
    let sleeper = || Connection::with(Box::new(Sleeper { pause }));
    let calc = || Connection::to(Service::Calc);
    for (mut connection, input) in
        [(calc(), &b""[..]), (calc(), b"1 + 2"), (calc(), b"\x00\x02"), (sleeper(), b"a\n")]
    {
        connection.receive(input, usize::MAX);
        let before = connection.session.deadline().unwrap();
        connection.session.delay(halt);
        assert_eq!(connection.session.deadline(), Some(before + halt), "{input:?}");
    }
}

#[test]
fn a_late_tick_serves_what_was_due_before_the_idle_timeout() {
    let idle = Limits::default().idle;
    let pause = Duration::from_millis(200);
    let mut connection = Connection::with(Box::new(Sleeper { pause }));
    connection.receive(b"a\nb\n", usize::MAX);
    connection.wait(2 * idle);
    assert_eq!(connection.output, b"a\nawake\nb\n");
    assert!(!connection.finished);

    let mut connection = Connection::to(Service::Calc);
    connection.receive(b"1 + 2", usize::MAX);
    connection.wait(2 * idle);
    assert_eq!(connection.output, b"3");
    assert!(!connection.finished);
}

#[test]
fn a_service_that_sleeps_for_no_time_is_not_resumed_in_the_same_call() {
    let mut connection = Connection::with(Box::new(Sleeper { pause: Duration::ZERO }));
    connection.receive(b"a\nb\n", usize::MAX);
    assert_eq!(connection.output, b"a\n");
    connection.wait(Duration::ZERO);
    assert_eq!(connection.output, b"a\nawake\nb\n");
}

#[test]
#[cfg_attr(miri, ignore = "thousands of turns")]
fn a_service_is_not_woken_while_the_outbox_has_no_space_for_a_reply() {
    let mut connection = Connection::with(Box::new(Sleeper { pause: Duration::ZERO }));
    connection.reading = false;
    connection.exchange(Some(b"a\n"));
    for _ in 0..OUTBOX_LIMIT {
        connection.wait(Duration::ZERO);
    }
    assert!(connection.session.bytes_held() <= 2 * OUTBOX_LIMIT.next_power_of_two());
    // The idle limit still holds.
    connection.wait(Limits::default().idle);
    assert!(connection.finished);
}

#[test]
#[cfg_attr(miri, ignore = "thousands of requests")]
fn a_long_batch_of_requests_yields_between_slices() {
    let mut connection = Connection::to(Service::Calc);
    connection.receive(&b"1 + 2\n".repeat(3000), usize::MAX);
    let answered = connection.output.len() / 2;
    assert!((1..3000).contains(&answered), "{answered} in one slice");
    assert!(connection.yielded);
    while connection.output.len() < 6000 {
        connection.wait(Duration::ZERO);
    }
    assert_eq!(connection.output, b"3\n".repeat(3000));
}

#[test]
#[cfg_attr(miri, ignore = "thousands of requests")]
fn the_work_of_earlier_turns_does_not_split_a_batch() {
    let mut connection = Connection::to(Service::Calc);
    for turn in 1..100 {
        connection.now += Duration::from_nanos(1);
        connection.receive(&b"1 + 2\n".repeat(128), usize::MAX);
        assert_eq!(connection.output.len(), turn * 2 * 128, "in turn {turn}");
    }
}

#[test]
fn time_spent_yielding_does_not_count_as_silence() {
    let mut connection = Connection::to(Service::Calc);
    connection.receive(b"2**12500 % 7\n", usize::MAX);
    assert!(connection.yielded);
    // The NUL has arrived before the yield ended, so it belongs to the line.
    connection.now += 2 * GAP;
    connection.receive(b"\0", usize::MAX);
    connection.wait(GAP);
    connection.receive(b"1 + 2\n\0", usize::MAX);
    connection.wait(GAP);
    assert_eq!(connection.output, b"4\n3\n\0");
}

#[test]
fn a_connection_that_was_silent_for_the_linger_time_does_not_linger() {
    let mut connection = Connection::to(Service::Calc);
    connection.receive(b"1\n", usize::MAX);
    connection.wait(LINGER);
    let now = connection.now;
    connection.activate().end_input(now);
    connection.exchange(None);
    connection.wait(Duration::ZERO);
    assert!(connection.finished);
}

#[test]
fn the_end_of_input_waits_for_a_sleeping_service() {
    let pause = Duration::from_millis(200);
    let mut connection = Connection::with(Box::new(Sleeper { pause }));
    connection.receive(b"a\n", usize::MAX);
    connection.end_input();
    assert!(!connection.finished);
    connection.wait(pause);
    connection.end_input();
    assert!(connection.finished);
    assert_eq!(connection.output, b"a\nawake\n");
}

/// Waits for a message until a time, and defers every message.
struct Deferring {
    until: Instant,
}

impl service::Service for Deferring {
    fn framing(&self) -> Framing {
        Framing::Messages
    }

    fn step(&mut self, event: Event<'_>, _: Instant, out: &mut Output<'_>) -> Next {
        match event {
            Event::Open => return Next::ReadUntil(self.until),
            Event::Message(_) if out.most_work() < u32::MAX => return Next::Defer,
            Event::Message(_) => out.write(b"message"),
            Event::Timeout => out.write(b"timeout"),
        }
        Next::Close
    }
}

#[expect(clippy::disallowed_methods, reason = "a start for virtual time")]
fn deferring() -> Connection {
    let until = Instant::now() + Duration::from_secs(1);
    let mut connection = Connection::with(Box::new(Deferring { until }));
    connection.exchange(Some(b"text\n"));
    assert!(connection.yielded);
    connection
}

#[test]
fn a_deferred_message_comes_before_a_timeout_that_is_due() {
    let mut connection = deferring();
    let now = connection.now + Duration::from_secs(2);
    connection.now = now;
    // The driver is late: the message was there in time.
    let due = connection.session.deadline();
    assert!(due.is_some_and(|at| at > now), "a timer of a service that has its event");
    connection.exchange(None);
    assert_eq!(connection.output, b"message\n");
}

#[test]
fn a_session_that_is_cut_has_no_message_left() {
    let mut connection = deferring();
    assert!(connection.session.is_heavy());
    connection.session.cut(CloseReason::Forced);
    assert!(!connection.session.is_heavy());
}
