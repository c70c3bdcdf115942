//! The limit on clients from one address, under every model and every policy.

use std::io::{ErrorKind, Read, Write};

use super::close_reasons::counters;
use super::sharded::served_of;
use crate::common::assert_bytes;
use crate::common::server::{BUSY, Client, MODELS, Server, run};

/// Output for a client whose address has too many connections.
const TOO_MANY: &[u8] = b"busy: too many connections from your address, try again later\n";

/// The hosts of the clients: 127.0.0.1 and 127.0.0.2.
const ANN: u8 = 1;
const BOB: u8 = 2;

/// A server for four clients, two from each address, and two clients from the first address.
fn server_and_two(model: &str, when_full: &str) -> (Server, [Client; 2]) {
    let options = ["--model", model, "--max-clients", "4", "--max-per-source", "2"];
    let server = Server::start(&[&options[..], &["--when-full", when_full]].concat());
    let clients = [ANN, ANN].map(|host| served_from(&server, host));
    (server, clients)
}

fn served_from(server: &Server, host: u8) -> Client {
    let mut client = server.connect_from(host);
    client.ask(b"1\n", b"1\n");
    client
}

/// A client from `host` that is served, sooner or later: the permit of one that has left may not be
/// released yet. Returns the number of those that were rejected before it.
fn served_again(server: &Server, host: u8) -> (Client, u64) {
    let mut rejected = 0;
    loop {
        let mut client = server.connect_from(host);
        let mut answer = [0; 2];
        let sent = client.stream.write_all(b"1\n").is_ok();
        if sent && client.stream.read_exact(&mut answer).is_ok() && answer == *b"1\n" {
            return (client, rejected);
        }
        rejected += 1;
    }
}

#[test]
fn the_third_client_from_an_address_is_told_so_and_another_address_is_served() {
    for model in MODELS {
        let (mut server, [first, mut second]) = server_and_two(model, "reply");
        for _ in 0..10 {
            let mut third = server.connect_from(ANN);
            third.send(b"1\n");
            assert_bytes(&third.rest(), TOO_MANY);
        }
        let bob = [BOB, BOB].map(|host| served_from(&server, host));
        // The server is full as well.
        assert_bytes(&server.connect_from(ANN).rest(), TOO_MANY);
        assert_bytes(&server.connect_from(3).rest(), BUSY);
        drop(first);
        let (third, rejected) = served_again(&server, ANN);
        second.ask(b"2\n", b"2\n");
        drop((second, third, bob));
        let counters = loop {
            let counters = counters(&mut server);
            if counters["open"] == 0 {
                break counters;
            }
        };
        let count = |name: &str| counters[name];
        assert_eq!((count("refused"), count("peer-closed")), (1, 5), "{model}: {counters:?}");
        assert_eq!(count("source-limit"), 11 + rejected, "{model}: {counters:?}");
        assert_eq!(count("accepted"), 17 + rejected, "{model}: {counters:?}");
        let log = server.stop();
        assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
    }
}

#[test]
fn under_the_policies_refuse_and_reset_a_client_beyond_the_limit_is_reset() {
    for model in MODELS {
        for when_full in ["refuse", "reset"] {
            let (server, [first, mut second]) = server_and_two(model, when_full);
            for _ in 0..3 {
                let mut third = server.connect_from(ANN);
                let error = third.stream.read(&mut [0]).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{model}, {when_full}");
            }
            let _bob = served_from(&server, BOB);
            drop(first);
            let _third = served_again(&server, ANN);
            second.ask(b"2\n", b"2\n");
        }
    }
}

#[test]
fn under_the_policy_queue_a_client_beyond_the_limit_does_not_wait() {
    for model in MODELS {
        let (server, [first, mut second]) = server_and_two(model, "queue");
        assert_bytes(&server.connect_from(ANN).rest(), TOO_MANY);
        let _bob = served_from(&server, BOB);
        drop(first);
        let _third = served_again(&server, ANN);
        second.ask(b"2\n", b"2\n");
    }
}

/// No descriptor is left for the clients that are served if those beyond the limit can hold all.
#[test]
fn however_many_an_address_opens_another_is_served() {
    for model in ["loop", "sharded"] {
        let options = ["--model", model, "--max-clients", "40", "--max-per-source", "1"];
        let server = Server::start(&[&options[..], &["-q"]].concat());
        let _first = served_from(&server, ANN);
        let mut more: Vec<_> = (0..400).map(|_| server.connect_from(ANN)).collect();
        let _bob = served_from(&server, BOB);
        for client in &mut more {
            client.expect(TOO_MANY);
        }
        assert!(server.descriptors() < 350, "{model}: {}", server.descriptors());
    }
}

#[test]
fn of_forty_simultaneous_clients_exactly_the_limit_is_served_over_all_loops() {
    for _ in 0..10 {
        let options = ["--model", "sharded", "--shards", "4", "--max-per-source", "3", "-q"];
        let server = Server::start(&options);
        let mut clients: Vec<_> = (0..40).map(|_| server.connect_from(ANN)).collect();
        assert_eq!(served_of(&mut clients), 3);
    }
}

#[test]
fn the_client_program_says_so_with_the_exit_code_of_a_busy_server() {
    let (server, _clients) = server_and_two("loop", "reply");
    let port = server.address.port().to_string();
    let (code, text) = run(&["client", "127.0.0.1", &port, "-e", "1 + 2"]);
    let said = "busy: too many connections from your address, try again later";
    assert_eq!((code, text), (Some(3), format!("socklab: the server replied: {said}\n")));
}
