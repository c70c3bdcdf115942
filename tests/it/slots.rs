//! The blocking driver and its slots for heavy work.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use socklab::drive::blocking;
use socklab::drive::slots::Slots;
use socklab::drive::timed_socket::{Ticks, TimedSocket};
use socklab::service::{Event, Framing, Next, Output, Service};
use socklab::session::{CloseReason, Session};

/// The longest wait for a reply.
const PATIENCE: Duration = Duration::from_secs(10);

/// The steps that run at the same time.
#[derive(Default)]
struct Steps {
    now: AtomicUsize,
    most: AtomicUsize,
}

/// Answers `light` at once; anything else is heavy.
struct Counting(Arc<Steps>);

impl Service for Counting {
    fn framing(&self) -> Framing {
        Framing::Messages
    }

    fn step(&mut self, event: Event<'_>, _: Instant, out: &mut Output<'_>) -> Next {
        match event {
            Event::Message(b"light") => {}
            Event::Message(_) if out.most_work() < u32::MAX => return Next::Defer,
            Event::Message(_) => {
                let now = self.0.now.fetch_add(1, Ordering::SeqCst) + 1;
                self.0.most.fetch_max(now, Ordering::SeqCst);
                (0..20).for_each(|_| thread::yield_now());
                self.0.now.fetch_sub(1, Ordering::SeqCst);
            }
            Event::Open | Event::Timeout => return Next::Read,
        }
        out.write(b"done");
        Next::Read
    }
}

/// A client and its session, served by a thread that shares `slots`. Returns its close reason.
#[expect(clippy::disallowed_methods, reason = "the beginning of the session")]
fn serve(socket: &TcpStream, steps: &Arc<Steps>, slots: &Slots) -> Option<CloseReason> {
    let service = Box::new(Counting(Arc::clone(steps)));
    let now = Instant::now();
    let mut session = Session::new(service, Arc::default(), 1, now);
    let ticks = Ticks::default();
    let mut socket = TimedSocket::new(socket, &ticks, || false);
    blocking::serve(&mut socket, &mut session, now, Some(slots));
    session.close_reason()
}

fn connect() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no SO_RCVTIMEO")]
fn heavy_messages_are_served_by_as_many_threads_as_there_are_slots() {
    let (steps, slots) = (Arc::default(), Slots::new(2));
    thread::scope(|scope| {
        let mut clients = Vec::new();
        for _ in 0..16 {
            let (mut client, socket) = connect();
            let (steps, slots) = (&steps, &slots);
            scope.spawn(move || serve(&socket, steps, slots));
            client.write_all(&b"light\nheavy\nheavy\n".repeat(10)).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            clients.push(client);
        }
        for mut client in clients {
            let mut replies = Vec::new();
            client.read_to_end(&mut replies).unwrap();
            assert_eq!(replies, b"done\n".repeat(30));
        }
    });
    assert!(steps.most.load(Ordering::SeqCst) <= 2);
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no SO_RCVTIMEO")]
fn light_messages_need_no_permit_and_a_close_ends_those_that_wait() {
    let (steps, slots) = (Arc::default(), Slots::new(0));
    thread::scope(|scope| {
        let (mut client, socket) = connect();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        let thread = scope.spawn(|| serve(&{ socket }, &steps, &slots));
        // More work than a slice.
        client.write_all(&b"light\n".repeat(5_000)).unwrap();
        client.write_all(b"heavy\n").unwrap();
        let mut replies = vec![0; 25_000];
        let received = client.read_exact(&mut replies);
        while received.is_ok() && slots.waiting() == 0 && !thread.is_finished() {
            thread::yield_now();
        }
        let waiting = slots.waiting();
        // Before the checks, or a failure would leave the thread waiting.
        slots.close();
        assert_eq!(thread.join().unwrap(), Some(CloseReason::Forced));
        received.unwrap();
        assert_eq!(replies, b"done\n".repeat(5_000));
        assert_eq!(waiting, 1);
        assert_eq!(steps.most.load(Ordering::SeqCst), 0);
    });
}
