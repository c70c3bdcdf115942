//! The client of line services against small scripted servers, one for each behaviour.

use std::io::{self, BufRead, BufReader, PipeReader, PipeWriter, Read, Write, pipe};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use socklab::client::{Connection, DEFAULT_TIMEOUT, PrintMode, Printer, Prompt};
use socklab::client::{ask_each, ask_lines, talk};
use socklab::error::{Exit, Failure};

use super::script::{HOST, SHORT, ScriptedServer, accept, assert_failure};

/// A server that serves one connection by its script.
struct Scripted {
    server: ScriptedServer,
    /// Receives when the greeting is on its way.
    greeted: mpsc::Receiver<()>,
}

impl Scripted {
    fn new(script: impl FnOnce(Peer) + Send + 'static) -> Self {
        Self::greeting(b"", script)
    }

    fn greeting(text: &'static [u8], script: impl FnOnce(Peer) + Send + 'static) -> Self {
        let (greeting_sent, greeted) = mpsc::channel();
        let server = ScriptedServer::start(move |listener| {
            let mut peer = Peer::new(accept(&listener));
            peer.send(text);
            greeting_sent.send(()).unwrap();
            script(peer);
        });
        Self { server, greeted }
    }

    /// Writes `answer` of each line, in one write.
    fn answering(answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> Self {
        Self::new(move |mut peer| {
            while let Some(question) = peer.question() {
                peer.send(&answer(&question));
            }
        })
    }

    fn connect(&self, timeout: Duration) -> Connection {
        let connection = Connection::open(HOST, self.server.port, timeout).unwrap();
        self.greeted.recv().unwrap();
        connection
    }

    /// Runs the client with this input from a pipe. Returns its output and its result.
    fn piped(&self, input: &[u8], timeout: Duration) -> (String, Result<(), Failure>) {
        let (from, mut to) = pipe().unwrap();
        let input = input.to_vec();
        // The client may end before it has read all.
        let write = move || to.write_all(&input).ok();
        let writer = thread::Builder::new().spawn(write).unwrap();
        let answered = self.asked(from, timeout);
        writer.join().unwrap();
        answered
    }

    /// Runs the client with this input. Returns its output and its result.
    fn asked(&self, input: impl AsFd, timeout: Duration) -> (String, Result<(), Failure>) {
        let mut printed = Vec::new();
        let mut output = Printer::new(&mut printed, PrintMode::Raw);
        let result = ask_lines(&mut self.connect(timeout), input, &mut output);
        (String::from_utf8(printed).unwrap(), result)
    }

    /// The same for a success. Returns the output.
    fn prints(&self, input: &[u8]) -> String {
        let (printed, result) = self.piped(input, DEFAULT_TIMEOUT);
        result.unwrap();
        printed
    }

    /// Runs the client with a terminal. Returns its output without the prompts, and its result.
    fn talked(
        &self,
        typed: impl FnMut(Prompt) -> Result<Option<String>, Failure>,
        confirm: bool,
    ) -> (String, Result<(), Failure>) {
        let mut printed = Vec::new();
        let mut output = Printer::new(&mut printed, PrintMode::Labelled);
        let result = talk(&mut self.connect(DEFAULT_TIMEOUT), typed, &mut output, confirm);
        (String::from_utf8(printed).unwrap(), result)
    }
}

/// A conversation step by step: the test writes each line and reads each reply.
struct Stepwise {
    input: Option<PipeWriter>,
    output: BufReader<PipeReader>,
    client: Option<JoinHandle<Result<(), Failure>>>,
}

impl Stepwise {
    fn with(server: &Scripted) -> Self {
        let (from, input) = pipe().unwrap();
        let (output, to) = pipe().unwrap();
        let mut connection = server.connect(DEFAULT_TIMEOUT);
        let ask = move || {
            let mut printer = Printer::new(to, PrintMode::Raw);
            ask_lines(&mut connection, from, &mut printer)
        };
        let client = thread::Builder::new().spawn(ask).unwrap();
        Self { input: Some(input), output: BufReader::new(output), client: Some(client) }
    }

    fn ask(&mut self, line: &str, reply: &str) {
        self.input.as_ref().unwrap().write_all(line.as_bytes()).unwrap();
        let mut printed = String::new();
        self.output.read_line(&mut printed).unwrap();
        assert_eq!(printed, reply);
    }

    fn end_input(&mut self) {
        self.input = None;
    }

    /// Waits for the client's end. Returns the rest of its output, and its result.
    fn end(mut self) -> (String, Result<(), Failure>) {
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        (rest, self.client.take().unwrap().join().unwrap())
    }
}

/// The server's end of a connection.
struct Peer {
    stream: TcpStream,
    lines: BufReader<TcpStream>,
}

impl Peer {
    fn new(stream: TcpStream) -> Self {
        let lines = BufReader::new(stream.try_clone().unwrap());
        Self { stream, lines }
    }

    fn question(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.lines.read_line(&mut line).unwrap_or(0);
        (read > 0).then(|| line.strip_suffix('\n').expect("the client ends lines").into())
    }

    /// Sends `text`. The client may have closed already.
    fn send(&mut self, text: &[u8]) {
        let _ = self.stream.write_all(text);
    }

    /// Waits for the end of input.
    fn wait_for_end(&mut self) {
        let _ = io::copy(&mut self.lines, &mut io::sink());
    }
}

/// A user who types these lines, then ends the input.
fn typing(lines: &'static [&'static str]) -> impl FnMut(Prompt) -> Result<Option<String>, Failure> {
    let mut lines = lines.iter();
    move |_| Ok(lines.next().map(|&line| line.into()))
}

#[test]
fn replies_of_a_line_server_are_printed_in_order() {
    let server = Scripted::answering(|question| format!("<{question}>\n").into());
    assert_eq!(server.prints(b"1 + 2\n\n30 / 10"), "<1 + 2>\n<>\n<30 / 10>\n");
}

#[test]
fn replies_without_newlines_are_printed_in_order() {
    let server = Scripted::answering(|question| format!("<{question}>").into());
    assert_eq!(server.prints(b"1 + 2\n30 / 10\n"), "<1 + 2>\n<30 / 10>\n");
}

#[test]
fn nuls_at_the_end_of_a_reply_are_not_printed() {
    let server = Scripted::answering(|question| format!("<{question}>\0\0").into());
    assert_eq!(server.prints(b"1\n2\n"), "<1>\n<2>\n");
}

#[test]
fn several_lines_in_one_write_are_one_reply() {
    let server = Scripted::answering(|_| b"sum: 17\nproduct: 60\n".into());
    assert_eq!(server.prints(b"10 7\n"), "sum: 17\nproduct: 60\n");
}

#[test]
fn a_reply_in_pieces_is_one_reply() {
    let server = Scripted::greeting(b"this server speaks in lines\n", |mut peer| {
        while let Some(question) = peer.question() {
            for byte in question.bytes() {
                peer.send(&[byte]);
            }
            peer.send(b"\n");
        }
    });
    assert_eq!(server.prints(b"sixty-six\nseven\n"), "sixty-six\nseven\n");
}

#[test]
fn a_late_newline_is_not_the_answer_to_the_next_question() {
    let server = Scripted::new(|mut peer| {
        peer.question();
        peer.send(b"66");
        peer.question();
        peer.send(b"\n67\n");
    });
    assert_eq!(server.prints(b"1\n2\n"), "66\n67\n");
}

#[test]
fn a_reply_in_two_writes_that_nagle_holds_apart_is_one_reply() {
    let server = Scripted::new(|mut peer| {
        // The second write waits in the server's kernel for our acknowledgement of the first.
        peer.stream.set_nodelay(false).unwrap();
        while let Some(question) = peer.question() {
            peer.send(b"Result: ");
            peer.send(question.as_bytes());
        }
    });
    let replies = "Result: 1\nResult: 2\nResult: 3\nResult: 4\n";
    assert_eq!(server.prints(b"1\n2\n3\n4\n"), replies);
}

/// A server that pauses inside its first reply, until the client has taken it for complete. Returns
/// a channel that goes on with it, and one that hears when the rest is sent.
fn pausing_server() -> (Scripted, mpsc::Sender<()>, mpsc::Receiver<()>) {
    let (resume, pause) = mpsc::channel();
    let (sent, rest) = mpsc::channel();
    let server = Scripted::new(move |mut peer| {
        peer.question();
        peer.send(b"Result: ");
        pause.recv().unwrap();
        peer.send(b"66");
        sent.send(()).unwrap();
        while let Some(question) = peer.question() {
            peer.send(question.as_bytes());
        }
    });
    (server, resume, rest)
}

const LATE: &str = "the server sent \"66\" after a reply had ended \
                    (it pauses within a reply or answers twice, so answers may be incomplete)";

#[test]
fn a_late_rest_of_a_reply_is_reported_and_is_not_the_answer_to_the_next_question() {
    let (server, resume, rest) = pausing_server();
    let mut client = Stepwise::with(&server);
    client.ask("22 + 44\n", "Result: \n");
    resume.send(()).unwrap();
    rest.recv().unwrap();
    client.ask("seven\n", "seven\n");
    client.ask("eight\n", "eight\n");
    client.end_input();
    let (printed, result) = client.end();
    assert_eq!(printed, "");
    assert_failure(result, Exit::Failed, LATE);
}

#[test]
fn a_late_rest_of_the_last_reply_is_reported() {
    let (server, resume, rest) = pausing_server();
    let mut client = Stepwise::with(&server);
    client.ask("22 + 44\n", "Result: \n");
    resume.send(()).unwrap();
    rest.recv().unwrap();
    client.end_input();
    let (printed, result) = client.end();
    assert_eq!(printed, "");
    assert_failure(result, Exit::Failed, LATE);
}

#[test]
fn a_server_that_leaves_while_the_input_is_quiet_ends_the_client() {
    let server = Scripted::new(|mut peer| {
        peer.question();
        peer.send(b"66\n");
    });
    let mut client = Stepwise::with(&server);
    client.ask("22 + 44\n", "66\n");
    // The input stays open: no line comes, and no end.
    let input = client.input.take();
    let (printed, result) = client.end();
    assert_eq!(printed, "");
    let text = "the server closed the connection before the input ended \
                (was it stopped, or was the pause between two messages too long?)";
    assert_failure(result, Exit::Failed, text);
    drop(input);
}

#[test]
fn stale_bytes_behind_a_nul_are_not_printed() {
    let server = Scripted::answering(|question| format!("<{question}>\0+ 44\n\0\0").into());
    assert_eq!(server.prints(b"1\n2\n"), "<1>\n<2>\n");
}

#[test]
fn a_bare_message_has_no_newline() {
    let server = Scripted::new(|mut peer| {
        for (message, reply) in [(&b"22 + 44"[..], b"66"), (b" ", b"no")] {
            let mut received = vec![0; message.len()];
            peer.stream.read_exact(&mut received).unwrap();
            assert_eq!(received, message);
            peer.send(reply);
        }
        let mut rest = Vec::new();
        peer.stream.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"");
    });
    let mut connection = server.connect(DEFAULT_TIMEOUT).without_newlines();
    assert_eq!(connection.ask(b"22 + 44").unwrap(), b"66");
    assert_eq!(connection.ask(b"").unwrap(), b"no");
}

#[test]
fn a_server_that_waits_for_a_newline_is_told_from_one_that_cannot_take_it() {
    let server = Scripted::new(|mut peer| peer.wait_for_end());
    let mut connection = server.connect(SHORT).without_newlines();
    let failure = connection.ask(b"1 + 2").unwrap_err().to_string();
    assert!(failure.ends_with(" if it waits for a newline, leave out --bare)"), "{failure}");
}

#[test]
fn a_reply_is_read_although_the_server_resets_after_it() {
    let server = Scripted::new(|mut peer| {
        let mut byte = [0];
        peer.stream.read_exact(&mut byte).unwrap();
        peer.send(b"66");
    });
    assert_eq!(server.prints(b"1 + 2\n"), "66\n");
}

#[test]
fn an_empty_input_is_a_success() {
    let server = Scripted::new(|mut peer| peer.wait_for_end());
    assert_eq!(server.prints(b""), "");
}

#[test]
fn expressions_are_asked_line_by_line() {
    let server = Scripted::answering(|question| format!("<{question}>\n").into());
    let expressions = ["1 + 2".into(), "3\n4".into(), String::new()];
    let mut printed = Vec::new();
    let mut output = Printer::new(&mut printed, PrintMode::Raw);
    ask_each(&mut server.connect(DEFAULT_TIMEOUT), &expressions, &mut output).unwrap();
    assert_eq!(printed, b"<1 + 2>\n<3>\n<4>\n<>\n");
}

#[test]
fn a_greeting_is_not_taken_for_an_answer() {
    let server = Scripted::greeting(b"welcome\n", |mut peer| {
        while let Some(question) = peer.question() {
            peer.send(format!("<{question}>\n").as_bytes());
        }
    });
    assert_eq!(server.prints(b"1\n2\n"), "<1>\n<2>\n");
}

#[test]
fn a_silent_server_is_no_answer_after_the_timeout() {
    let server = Scripted::new(|mut peer| peer.wait_for_end());
    let (printed, result) = server.piped(b"1 + 2\n", SHORT);
    assert_eq!(printed, "");
    let text = "no answer within 200 ms (connected, but perhaps still in the accept queue: is the \
                server busy with another client? if it cannot take a newline, try --bare)";
    assert_failure(result, Exit::NoAnswer, text);
}

#[test]
fn a_full_accept_queue_is_no_answer_after_the_timeout() {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let port = listener.local_addr().unwrap().as_socket_ipv4().unwrap().port();
    let queued = TcpStream::connect((HOST, port)).unwrap();
    let failure = Connection::open(HOST, port, SHORT).unwrap_err();
    let text = format!(
        "cannot connect to 127.0.0.1:{port}: no answer within 200 ms \
         (the SYN is not answered: is the accept queue full, or is a firewall in the way?)"
    );
    assert_failure(Err(failure), Exit::NoAnswer, &text);
    drop(queued);
}

#[test]
fn a_refused_connection_is_reported_with_a_hint() {
    let port = TcpListener::bind((HOST, 0)).unwrap().local_addr().unwrap().port();
    let failure = Connection::open(HOST, port, DEFAULT_TIMEOUT).unwrap_err();
    let text =
        format!("cannot connect to 127.0.0.1:{port}: connection refused (is the server running?)");
    assert_failure(Err(failure), Exit::Failed, &text);
}

#[test]
fn the_longest_timeout_does_not_overflow() {
    let server = Scripted::answering(|_| b"66\n".into());
    let (printed, result) = server.piped(b"1\n", Duration::MAX);
    result.unwrap();
    assert_eq!(printed, "66\n");
}

#[test]
fn a_busy_reply_has_its_own_exit_code() {
    let server = Scripted::greeting(b"busy: the server is full, try again later\n", |mut peer| {
        peer.stream.shutdown(Shutdown::Write).unwrap();
        peer.wait_for_end();
    });
    let (_, result) = server.piped(b"1 + 2\n", DEFAULT_TIMEOUT);
    let text = "the server replied: busy: the server is full, try again later";
    assert_failure(result, Exit::Busy, text);
}

#[test]
fn a_later_reply_may_begin_with_busy() {
    let server = Scripted::answering(|question| format!("{question}\n").into());
    assert_eq!(server.prints(b"hello\nbusy: bee\n"), "hello\nbusy: bee\n");
}

#[test]
fn a_server_that_closes_instead_of_answering_is_a_failure() {
    let server = Scripted::new(|mut peer| {
        peer.question();
    });
    let (_, result) = server.piped(b"1 + 2\n", DEFAULT_TIMEOUT);
    let text = "the server closed the connection before it answered \
                (is the server full, or did it fail? if it cannot take a newline, try --bare)";
    assert_failure(result, Exit::Failed, text);
}

#[test]
fn a_server_that_closes_after_one_answer_fails_the_second_question() {
    let server = Scripted::new(|mut peer| {
        peer.question();
        peer.send(b"Hello from the server!\n");
    });
    let (printed, result) = server.piped(b"hello\nhello?\n", DEFAULT_TIMEOUT);
    assert_eq!(printed, "Hello from the server!\n");
    let text = "the server closed the connection before it answered \
                (was it stopped, or does it answer only one message for each connection?)";
    assert_failure(result, Exit::Failed, text);
}

#[test]
fn an_endless_reply_fails_at_the_limit() {
    let server = Scripted::new(|mut peer| {
        peer.question();
        while peer.stream.write_all(&[b'6'; 4096]).is_ok() {}
    });
    let (printed, result) = server.piped(b"1\n", DEFAULT_TIMEOUT);
    assert_eq!(printed, "");
    let text = "the server's reply is longer than 1048576 bytes";
    assert_failure(result, Exit::Failed, text);
}

#[test]
fn a_message_over_the_limit_is_not_sent() {
    let server = Scripted::new(|mut peer| assert_eq!(peer.question(), None));
    let (_, result) = server.piped(&vec![b'1'; 2 << 20], DEFAULT_TIMEOUT);
    assert_failure(result, Exit::Failed, "cannot send a message of more than 1048575 bytes");
}

#[test]
fn a_large_echo_comes_back_whole() {
    let server = Scripted::answering(|question| format!("{question}\n").into());
    let message = format!("{}\n", "1".repeat((1 << 20) - 1));
    assert_eq!(server.prints(message.as_bytes()), message);
}

#[test]
fn an_interactive_user_sees_labelled_replies_and_leaves_by_exit() {
    let server = Scripted::answering(|question| format!("<{question}>\n").into());
    let (printed, result) = server.talked(typing(&["1 + 2", " ", "3\n4", "exit", "5"]), false);
    result.unwrap();
    assert_eq!(printed, "Server replied: <1 + 2>\nServer replied: <3>\nServer replied: <4>\n");
}

#[test]
fn an_interactive_user_may_be_asked_to_continue() {
    let server = Scripted::answering(|question| format!("<{question}>\n").into());
    let mut prompts = Vec::new();
    let mut lines = ["1", "y", "2", "n", "3"].into_iter();
    let typed = |prompt| {
        prompts.push(prompt);
        Ok(lines.next().map(String::from))
    };
    let (printed, result) = server.talked(typed, true);
    result.unwrap();
    assert_eq!(printed, "Server replied: <1>\nServer replied: <2>\n");
    assert_eq!(prompts, [Prompt::Message, Prompt::Continue, Prompt::Message, Prompt::Continue]);
}

#[test]
fn an_interactive_user_sees_the_greeting_and_late_lines() {
    let (prompted, wait_for_prompt) = mpsc::channel();
    let (sent, wait_for_line) = mpsc::channel();
    let server = Scripted::greeting(b"welcome", move |mut peer| {
        peer.question();
        peer.send(b"first line\n");
        wait_for_prompt.recv().unwrap();
        peer.send(b"second line\x1b\n");
        sent.send(()).unwrap();
        peer.question();
        peer.send(b"answer\n");
        peer.wait_for_end();
    });
    let mut lines = ["1", "2", "quit"].into_iter();
    let typed = |_| {
        let line = lines.next();
        if line == Some("2") {
            prompted.send(()).unwrap();
            wait_for_line.recv().unwrap();
        }
        Ok(line.map(String::from))
    };
    let (printed, result) = server.talked(typed, false);
    result.unwrap();
    let lines = ["welcome", "Server replied: first line", "second line\\x1b"];
    let printed: Vec<&str> = printed.lines().collect();
    assert_eq!(printed[..3], lines);
    assert_eq!(printed[3..], ["Server replied: answer"]);
}

#[test]
fn a_closed_connection_ends_the_conversation_before_the_next_prompt() {
    let server = Scripted::greeting(b"this server speaks in lines\n", |mut peer| {
        peer.question();
        peer.send(b"Hello from the server!");
    });
    let (printed, result) = server.talked(typing(&["hello", "hello?"]), false);
    result.unwrap();
    let replies = "this server speaks in lines\nServer replied: Hello from the server!\n";
    assert_eq!(printed, format!("{replies}The server closed the connection.\n"));
}

#[test]
fn a_busy_reply_ends_the_conversation_before_the_first_prompt() {
    let server = Scripted::greeting(b"busy: the server is full, try again later\n", drop);
    let typed = |_| unreachable!("there is no prompt");
    let (printed, result) = server.talked(typed, false);
    assert_eq!(printed, "");
    assert_failure(
        result,
        Exit::Busy,
        "the server replied: busy: the server is full, try again later",
    );
}
