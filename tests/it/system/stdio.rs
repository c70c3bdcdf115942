//! The command `session`: one client on stdin and stdout, which may be sockets or pipes.

use std::fs::{File, OpenOptions};
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::common::file::TempPath;
use crate::common::server::socklab;

/// More bytes than all the buffers on the way to a peer hold.
const FLOOD: usize = 64 * 1024 * 1024;

fn command(options: &[&str]) -> Command {
    let mut command = socklab(&["session"]);
    command.args(options).stderr(Stdio::piped());
    command
}

fn with_socket(options: &[&str]) -> (Child, UnixStream) {
    let (peer, own) = UnixStream::pair().unwrap();
    let mut command = command(options);
    command.stdin(OwnedFd::from(own.try_clone().unwrap())).stdout(OwnedFd::from(own));
    (command.spawn().unwrap(), peer)
}

fn with_pipes(options: &[&str]) -> (Child, PipeWriter, PipeReader) {
    let ((stdin, to), (from, stdout)) = (io::pipe().unwrap(), io::pipe().unwrap());
    (command(options).stdin(stdin).stdout(stdout).spawn().unwrap(), to, from)
}

/// Waits for the end, expects exit code 0, and returns the log.
#[track_caller]
fn log(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{}: {log}", output.status);
    log
}

fn terminate(child: &Child) {
    kill_process(Pid::from_child(child), Signal::TERM).unwrap();
}

fn rest(mut from: impl Read) -> String {
    let mut text = String::new();
    from.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_socket_is_served_until_its_peer_ends() {
    let (child, mut peer) = with_socket(&["--banner", "welcome"]);
    peer.write_all(b"1 + 2\n6 * 7\n").unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(peer), "welcome\n3\n42\n");
    let log = log(child);
    assert!(log.contains("client 1 connected on a socket without an address\n"), "{log}");
    assert!(log.contains("client 1 left: it closed the connection"), "{log}");
}

#[test]
fn two_pipes_are_served_as_a_socket_is() {
    let (child, mut to, from) = with_pipes(&[]);
    let questions = "1 + 2\n".repeat(20_000);
    let asking = std::thread::Builder::new().spawn(move || to.write_all(questions.as_bytes()));
    assert_eq!(rest(from), "3\n".repeat(20_000));
    asking.unwrap().join().unwrap().unwrap();
    log(child);
}

#[test]
fn a_service_that_ends_closes_stdout_while_stdin_is_open() {
    let (child, mut to, from) = with_pipes(&["--service", "hello", "--greeting", "hi"]);
    to.write_all(b"me\n").unwrap();
    assert_eq!(rest(from), "hi\n");
    drop(to);
    assert!(log(child).contains("left: the service is done"));
}

#[test]
fn timeouts_apply_to_pipes_and_sockets() {
    let options = ["--idle-timeout", "50ms"];
    let (child, to, from) = with_pipes(&options);
    assert_eq!(rest(from), "");
    assert!(log(child).contains("left: it was idle for too long"));
    drop(to);
    let (child, peer) = with_socket(&options);
    assert_eq!(rest(peer), "");
    log(child);

    let options = ["--service", "echo", "--unread-timeout", "50ms"];
    let (child, mut to, from) = with_pipes(&options);
    to.write_all(&vec![b'x'; FLOOD]).unwrap_err();
    assert!(log(child).contains("left: it did not read its replies"));
    drop(from);
    let (child, mut peer) = with_socket(&options);
    peer.write_all(&vec![b'x'; FLOOD]).unwrap_err();
    assert!(log(child).contains("left: it did not read its replies"));
}

#[test]
fn repeated_stop_signals_are_one_end_of_input() {
    let (child, mut to, mut from) = with_pipes(&[]);
    to.write_all("1 + 2\n".repeat(5_000).as_bytes()).unwrap();
    from.read_exact(&mut [0; 2]).unwrap();
    terminate(&child);
    terminate(&child);
    assert_eq!(rest(from), "3\n".repeat(4_999));
    drop(to);
    assert!(log(child).contains("left: the server stops"));

    let (child, mut peer) = with_socket(&[]);
    peer.write_all("1 + 2\n".repeat(5_000).as_bytes()).unwrap();
    peer.read_exact(&mut [0; 2]).unwrap();
    terminate(&child);
    terminate(&child);
    assert_eq!(rest(&peer), "3\n".repeat(4_999));
    drop(peer);
    assert!(log(child).contains("left: the server stops"));
}

#[test]
fn a_closed_pipe_is_a_reset_and_no_sigpipe() {
    let (child, mut to, from) = with_pipes(&["--service", "echo"]);
    drop(from);
    // The pipe may be closed already.
    to.write_all(b"hello").ok();
    assert!(log(child).contains("left: it reset the connection"));
}

#[test]
fn nothing_is_logged_into_the_connection() {
    let (mut peer, own) = UnixStream::pair().unwrap();
    let [stdin, stdout, stderr] = [(); 3].map(|()| OwnedFd::from(own.try_clone().unwrap()));
    drop(own);
    let mut child = command(&["-vv"]).stdin(stdin).stdout(stdout).stderr(stderr).spawn().unwrap();
    peer.write_all(b"1 + 2\n").unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(peer), "3\n");
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_usage_error_is_not_sent_to_a_peer_that_is_stderr_too() {
    for args in [&["session", "--bad"][..], &["session", "--seed", "1"], &["sesion"]] {
        for peer_is_stderr in [true, false] {
            let (mut peer, own) = UnixStream::pair().unwrap();
            let copy = || OwnedFd::from(own.try_clone().unwrap());
            let mut command = socklab(args);
            command.env("RUST_LOG", "bad=bad=bad").stdin(copy()).stdout(copy());
            command.stderr(if peer_is_stderr { copy().into() } else { Stdio::piped() });
            let child = command.spawn().unwrap();
            drop((own, command));
            peer.shutdown(Shutdown::Write).unwrap();
            assert_eq!(rest(&mut peer), "", "{args:?}");
            let output = child.wait_with_output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{args:?}");
            assert_eq!(output.stderr.is_empty(), peer_is_stderr, "{args:?}");
        }
    }
}

#[test]
fn an_invalid_log_filter_is_not_told_to_the_peer() {
    let (mut peer, own) = UnixStream::pair().unwrap();
    let [stdin, stdout, stderr] = [(); 3].map(|()| OwnedFd::from(own.try_clone().unwrap()));
    drop(own);
    let mut command = socklab(&["session"]);
    command.env("RUST_LOG", "a=b=c").stdin(stdin).stdout(stdout).stderr(stderr);
    let mut child = command.spawn().unwrap();
    drop(command);
    peer.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&mut peer), "");
    assert!(child.wait().unwrap().success());
}

#[test]
fn an_output_or_input_that_this_machine_fails_is_a_failure() {
    let (question, mut to) = io::pipe().unwrap();
    to.write_all(b"1 + 2\n").unwrap();
    drop(to);
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let folder = File::open("/").unwrap();
    for (stdin, stdout, text) in [
        (question.into(), full.into(), "cannot write to standard output: no space left on device"),
        (folder.into(), Stdio::null(), "cannot read standard input: is a directory"),
    ] {
        let child = command(&[]).stdin::<Stdio>(stdin).stdout(stdout).spawn().unwrap();
        let output = child.wait_with_output().unwrap();
        let log = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{log}");
        assert!(log.ends_with(&format!("\nsocklab: {text}\n")), "{log}");
    }
}

#[test]
fn the_log_says_on_what_a_client_is_that_has_no_address() {
    let (child, to, _from) = with_pipes(&[]);
    drop(to);
    assert!(log(child).contains("client 1 connected on a pipe\n"));
    for (path, kind) in [("/dev/null", "a device"), ("Cargo.toml", "a file")] {
        let child = command(&[]).stdin(File::open(path).unwrap()).stdout(Stdio::null()).spawn();
        let log = log(child.unwrap());
        assert!(log.contains(&format!("client 1 connected on {kind}\n")), "{log}");
    }
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap().into_string().unwrap();
    let own = OpenOptions::new().read(true).write(true).open(name).unwrap();
    let child = command(&[]).stdin(own).stdout(Stdio::null()).spawn().unwrap();
    // Ctrl-D at the beginning of a line is an end of input.
    File::from(terminal.try_clone().unwrap()).write_all(b"\x04").unwrap();
    assert!(log(child).contains("client 1 connected on a terminal\n"));
}

#[test]
fn a_game_on_a_pipe_has_a_row_without_an_address() {
    let table = TempPath::new("pipe.csv");
    let options = ["--service", "quiz", "--questions", "1", "--results", table.as_str()];
    let (child, mut to, from) = with_pipes(&options);
    to.write_all(b"yes\nBob\n1\n").unwrap();
    drop(to);
    rest(from);
    log(child);
    let row = table.read().lines().nth(1).unwrap().to_owned();
    assert!(row.contains(",Bob,,1,"), "{row}");
}

#[test]
fn the_log_has_the_address_of_the_peer() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (own, address) = listener.accept().unwrap();
    let own = OwnedFd::from(own);
    let mut child = command(&[]);
    let child = child.stdin(own.try_clone().unwrap()).stdout(own).spawn().unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    assert!(log(child).contains(&format!("client 1 connected from {address}")));

    for (address, names, value) in [
        ("192.0.2.1:7", ["TCPREMOTEIP", "TCPREMOTEPORT"], "192.0.2.1"),
        ("192.0.2.1:7", ["REMOTE_ADDR", "REMOTE_PORT"], "192.0.2.1"),
        ("192.0.2.1:7", ["NCAT_REMOTE_ADDR", "NCAT_REMOTE_PORT"], "192.0.2.1"),
        ("[2001:db8::1]:7", ["SOCAT_PEERADDR", "SOCAT_PEERPORT"], "[2001:db8::1]"),
    ] {
        let mut child = command(&[]);
        child.env(names[0], value).env(names[1], "7").stdin(Stdio::null());
        let log = log(child.stdout(Stdio::null()).spawn().unwrap());
        assert!(log.contains(&format!("client 1 connected from {address}")), "{log}");
    }
}
