//! The clients on a terminal: a pseudoterminal of which the test is the person and the screen.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ExitStatus};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, fcntl_getfl, fcntl_setfl, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::script::{HOST, ScriptedServer, accept};
use crate::common::server::socklab;

/// The longest wait for text on the screen: a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A terminal on which nothing runs yet.
struct Terminal {
    keyboard_and_screen: File,
    /// The program's side.
    line: File,
}

impl Terminal {
    fn new() -> Self {
        let side = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&side).unwrap();
        unlockpt(&side).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let line = open(ptsname(&side, Vec::new()).unwrap(), flags, Mode::empty()).unwrap();
        Self { keyboard_and_screen: side.into(), line: line.into() }
    }

    fn types(&mut self, text: &[u8]) {
        self.keyboard_and_screen.write_all(text).unwrap();
    }

    /// Starts the program. `kind` is the kind of terminal; on a `dumb` one no line is edited.
    fn run(self, args: &[&str], kind: &str) -> Running {
        let stdio = || self.line.try_clone().unwrap();
        let program = socklab(args)
            .env("TERM", kind)
            .stdin(stdio())
            .stdout(stdio())
            .stderr(stdio())
            .spawn()
            .unwrap();
        Running { terminal: self.keyboard_and_screen, program, shown: String::new(), seen: 0 }
    }
}

/// A program on a terminal.
struct Running {
    terminal: File,
    program: Child,
    /// All that the screen has shown.
    shown: String,
    /// The end of what a test has waited for.
    seen: usize,
}

impl Running {
    fn types(&mut self, text: &[u8]) {
        self.terminal.write_all(text).unwrap();
    }

    /// Waits until the screen shows `text`, behind what it was last waited for.
    #[track_caller]
    fn shows(&mut self, text: &str) {
        loop {
            if let Some(at) = self.shown[self.seen..].find(text) {
                self.seen += at + text.len();
                return;
            }
            assert!(self.receive(), "the program has ended: {:?}", self.shown);
        }
    }

    /// Waits for the program's end.
    fn ends(mut self) -> (ExitStatus, String) {
        while self.receive() {}
        (self.program.wait().unwrap(), std::mem::take(&mut self.shown))
    }

    /// Receives what the screen shows next; false at the program's end.
    fn receive(&mut self) -> bool {
        let mut fds = [PollFd::new(&self.terminal, PollFlags::IN)];
        let ready = poll(&mut fds, Some(&Timespec::try_from(PATIENCE).unwrap())).unwrap();
        assert!(ready > 0, "the screen stands still: {:?}", self.shown);
        let mut text = [0; 1024];
        // A terminal that no program has open any more is an input error (pty(7)).
        let received = self.terminal.read(&mut text).unwrap_or(0);
        self.shown += &String::from_utf8_lossy(&text[..received]);
        received > 0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.program.kill().ok();
        self.program.wait().ok();
    }
}

/// A server that answers each line with the line in brackets.
fn brackets() -> ScriptedServer {
    ScriptedServer::start(|listener| {
        let mut stream = accept(&listener);
        for line in lines(&stream) {
            stream.write_all(format!("<{line}>\n").as_bytes()).ok();
        }
    })
}

fn lines(stream: &TcpStream) -> impl Iterator<Item = String> + use<> {
    BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok)
}

const PROMPT: &str = "Please enter the message to the server: ";

const KINDS: [&str; 2] = ["xterm", "dumb"];

/// The replies on a screen, in order.
fn replies(shown: &str) -> Vec<&str> {
    let lines = shown.split("Server replied: ").skip(1);
    lines.map(|line| line.split('\r').next().unwrap()).collect()
}

#[test]
fn all_lines_of_one_write_are_sent() {
    for kind in KINDS {
        for end in ["exit\r", "\x04"] {
            let server = brackets();
            let port = server.port.to_string();
            let mut client = Terminal::new().run(&["client", HOST, &port], kind);
            client.shows(PROMPT);
            client.types(format!("1 + 1\r2 + 2\r3\r{end}").as_bytes());
            let (status, shown) = client.ends();
            assert!(status.success(), "{shown}");
            assert_eq!(replies(&shown), ["<1 + 1>", "<2 + 2>", "<3>"], "{kind}: {shown}");
        }
    }
}

#[test]
fn what_is_typed_before_the_client_has_started_is_kept() {
    for kind in KINDS {
        for end in ["quit\r", "\x04"] {
            let server = brackets();
            let mut terminal = Terminal::new();
            let port = server.port;
            terminal.types(format!("{HOST}\r{port}\r1 + 1\r2 + 2\r{end}").as_bytes());
            let (status, shown) = terminal.run(&["client"], kind).ends();
            assert!(status.success(), "{shown}");
            assert_eq!(replies(&shown), ["<1 + 1>", "<2 + 2>"], "{kind}: {shown}");
        }
    }
}

#[test]
fn what_is_typed_while_a_reply_is_awaited_is_kept() {
    let (typed, wait_for_typing) = std::sync::mpsc::channel();
    let server = ScriptedServer::start(move |listener| {
        let mut stream = accept(&listener);
        for line in lines(&stream) {
            if line == "1" {
                wait_for_typing.recv().unwrap();
            }
            stream.write_all(format!("<{line}>\n").as_bytes()).ok();
        }
    });
    let port = server.port.to_string();
    let mut client = Terminal::new().run(&["client", HOST, &port], "xterm");
    client.shows(PROMPT);
    client.types(b"1\r");
    // The editor has left the line, so the terminal is in its own mode.
    client.shows("\x1b[?2004l");
    client.types(b"2\r3\r\x04");
    typed.send(()).unwrap();
    let (status, shown) = client.ends();
    assert!(status.success(), "{shown}");
    assert_eq!(replies(&shown), ["<1>", "<2>", "<3>"], "{shown}");
}

#[test]
fn a_quiz_is_answered_ahead() {
    for kind in KINDS {
        let server = ScriptedServer::start(|listener| {
            let mut stream = accept(&listener);
            let mut lines = lines(&stream);
            for (expected, reply) in [
                ("yes", ""),
                ("Bob", " -> 3+4  \n"),
                ("7", "⭐ Correct answer ⭐\n -> 1+1  \n"),
                ("3", "Wrong answer👎\n0.75\nBetter luck next time!\n"),
            ] {
                assert_eq!(lines.next().as_deref(), Some(expected));
                stream.write_all(reply.as_bytes()).unwrap();
            }
        });
        let port = server.port.to_string();
        let mut player = Terminal::new().run(&["play"], kind);
        player.shows("]: ");
        player.types(format!("{HOST}\r{port}\ryes\rBob\r7\r3\r").as_bytes());
        let (status, shown) = player.ends();
        assert!(status.success(), "{shown}");
        assert!(shown.contains("Total: 0.75"), "{kind}: {shown}");
    }
}

#[test]
fn a_line_that_is_not_utf_8_is_told_and_asked_for_again() {
    for kind in KINDS {
        for text in [&b"\xff\r"[..], b"1 + \xfc\r", b"\xe2\x82\r"] {
            let server = brackets();
            let port = server.port.to_string();
            let mut client = Terminal::new().run(&["client", HOST, &port], kind);
            client.shows(PROMPT);
            client.types(text);
            client.shows("this is not UTF-8");
            client.shows(PROMPT);
            client.types(b"66\r");
            client.shows("Server replied: <66>");
            client.types(b"\x04");
            assert!(client.ends().0.success(), "{kind}");
        }
    }
}

#[test]
fn a_non_blocking_terminal_is_waited_for() {
    for kind in KINDS {
        let server = brackets();
        let port = server.port.to_string();
        let terminal = Terminal::new();
        let flags = fcntl_getfl(&terminal.line).unwrap();
        fcntl_setfl(&terminal.line, flags | OFlags::NONBLOCK).unwrap();
        let shared = terminal.line.try_clone().unwrap();
        let mut client = terminal.run(&["client", HOST, &port], kind);
        client.shows(PROMPT);
        client.types(b"1 + 1\r");
        client.shows("Server replied: <1 + 1>");
        assert!(fcntl_getfl(&shared).unwrap().contains(OFlags::NONBLOCK), "the mode is shared");
        drop(shared);
        client.types(b"exit\r");
        assert!(client.ends().0.success(), "{kind}");
    }
}

#[test]
fn a_host_may_stand_in_brackets_and_a_port_is_no_host() {
    let server = brackets();
    let mut client = Terminal::new().run(&["client"], "xterm");
    client.shows("Enter Host IP Address [127.0.0.1]: ");
    client.types(b"5000\r");
    client.shows("Enter Host IP Address [127.0.0.1]: ");
    client.types(format!("[{HOST}]\r").as_bytes());
    client.shows("Enter the Port Number [5000]: ");
    client.types(format!("{}\r", server.port).as_bytes());
    client.shows(PROMPT);
    client.types(b"1\r\x04");
    let (status, shown) = client.ends();
    assert!(status.success(), "{shown}");
    assert_eq!(replies(&shown), ["<1>"]);
}
