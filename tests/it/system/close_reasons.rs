//! Every connection ends for a reason, which the log names and the counters count.

use std::collections::BTreeMap;

use rustix::process::Signal;

use crate::common::server::{CONCURRENT, Server};

/// The counters by name, from the line that SIGUSR1 writes to the log.
pub fn counters(server: &mut Server) -> BTreeMap<String, u64> {
    server.signal(Signal::USR1);
    parsed(&server.log_line("accepted="))
}

/// The counters by name, from their line in the log.
fn parsed(line: &str) -> BTreeMap<String, u64> {
    let pairs = line.split_whitespace().filter_map(|word| word.split_once('='));
    pairs.map(|(name, count)| (name.to_owned(), count.parse().unwrap())).collect()
}

/// The counters that are not 0.
fn nonzero_counters(server: &mut Server) -> Vec<(String, u64)> {
    counters(server).into_iter().filter(|&(_, count)| count > 0).collect()
}

#[test]
fn every_close_reason_is_logged_and_counted() {
    for model in CONCURRENT {
        println!("{model}");
        let options = ["--model", model, "--max-clients", "2", "--framing", "line"];
        let limits = ["--arrival-timeout", "100ms", "--unread-timeout", "100ms"];
        let mut server = Server::start(&[options.as_slice(), &limits].concat());

        let mut closing = server.connect();
        closing.ask(b"1 + 2\n", b"3\n");
        drop(closing);
        server.log_line("left: it closed the connection");

        let mut resetting = server.connect();
        resetting.ask(b"1 + 2\n", b"3\n");
        resetting.reset();
        server.log_line("left: it reset the connection");

        let mut too_long = server.connect();
        too_long.send(&[b'1'; 5000]);
        assert!(too_long.rest().starts_with(b"ValueError: message too long"));
        drop(too_long);
        server.log_line("left: its message was too long");

        let mut slow = server.connect();
        slow.send(b"1 + ");
        assert_eq!(slow.rest(), b"");
        drop(slow);
        server.log_line("left: its message took too long to arrive");

        // Far more than all the buffers on the way hold.
        let mut unread = server.connect();
        unread.fill(&b"(1,) * 10000\n".repeat(1000));
        server.log_line("left: it did not read its replies");

        let (mut ann, mut bob) = (server.connect(), server.connect());
        ann.ask(b"1\n", b"1\n");
        bob.ask(b"2\n", b"2\n");
        let mut late = server.connect();
        assert!(late.rest().starts_with(b"busy"));
        drop(late);
        ann.ask(b"3\n", b"3\n");

        let counters = counters(&mut server);
        let count = |name: &str| counters[name];
        for name in ["peer-closed", "peer-reset", "too-long", "too-slow", "unread"] {
            assert_eq!(count(name), 1, "{name} in {counters:?}");
        }
        assert_eq!(count("accepted"), 8);
        let ended =
            ["idle", "lost", "served", "drained", "forced", "broken", "refused", "source-limit"];
        let ended = 5 + ended.into_iter().map(count).sum::<u64>();
        assert_eq!(count("accepted"), count("open") + ended, "{counters:?}");
        assert!(count("messages") > 5 && count("received") > 5000 && count("sent") > 5000);
    }
}

#[test]
fn an_idle_client_is_closed_and_counted() {
    for model in CONCURRENT {
        let mut server = Server::start(&["--model", model, "--idle-timeout", "50ms", "-q"]);
        let mut idle = server.connect();
        assert_eq!(idle.rest(), b"");
        drop(idle);
        let mut client = server.connect();
        client.ask(b"6 * 7\n", b"42\n");
        client.half_close();
        assert_eq!(client.rest(), b"");
        drop(client);
        let expected = [("accepted", 2), ("idle", 1), ("messages", 1), ("peer-closed", 1)];
        let mut expected: Vec<_> =
            expected.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
        expected.extend([("received".to_owned(), 6), ("sent".to_owned(), 3)]);
        // The second close may be counted just after the client sees it.
        while counters(&mut server)["open"] > 0 {}
        assert_eq!(nonzero_counters(&mut server), expected, "{model}");
    }
}

#[test]
fn a_forced_close_is_counted_with_the_traffic_of_its_client() {
    for model in CONCURRENT {
        let mut server = Server::start(&["--model", model, "--drain-timeout", "1s"]);
        let mut unread = server.connect();
        unread.ask(b"1 + 2\n", b"3\n");
        unread.fill(&b"(1,) * 10000\n".repeat(1000));
        server.signal(Signal::TERM);
        server.log_line("client 1 left: the server stops at once");
        let line = server.log_line("accepted=1 open=0");
        let counters = parsed(&line);
        assert_eq!(counters["forced"], 1, "{model}: {line}");
        assert!(counters["received"] > 6 && counters["sent"] > 65_536, "{model}: {line}");
        assert_eq!(server.wait().code(), Some(0));
    }
}
