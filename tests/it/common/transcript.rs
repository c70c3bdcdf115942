//! Transcripts: bytes of a client and the bytes of the replies. They hold under every model, and in
//! whatever pieces the bytes arrive.

use socklab::service::{ServiceKind, ServiceSpec};
use socklab::session::CloseReason;

/// A service with its name on the command line and its spec in the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    Calc,
    Echo,
    Hello,
    Fourops,
}

impl Service {
    pub fn name(self) -> &'static str {
        match self {
            Self::Calc => "calc",
            Self::Echo => "echo",
            Self::Hello => "hello",
            Self::Fourops => "fourops",
        }
    }

    pub fn spec(self) -> ServiceSpec {
        match self {
            Self::Calc => ServiceKind::Calc.into(),
            Self::Echo => ServiceKind::Echo.into(),
            Self::Hello => ServiceKind::Hello.into(),
            Self::Fourops => ServiceKind::Fourops.into(),
        }
    }
}

#[derive(Clone, Copy)]
pub struct Transcript {
    /// A sentence that the transcript shows.
    pub name: &'static str,
    pub service: Service,
    pub input: &'static [u8],
    pub output: &'static [u8],
    /// The client closes its sending half after the input.
    pub half_close: bool,
    /// Close reason, if the connection is closed: by the server unless `half_close`.
    pub ending: Option<CloseReason>,
    /// Bytes that may follow the input without a change of the output.
    pub trailing: &'static [u8],
}

const fn row(
    name: &'static str,
    service: Service,
    input: &'static [u8],
    output: &'static [u8],
) -> Transcript {
    Transcript { name, service, input, output, half_close: false, ending: None, trailing: b"1 +" }
}

const fn closing(transcript: Transcript) -> Transcript {
    Transcript {
        half_close: true,
        ending: Some(CloseReason::PeerClosed),
        trailing: b"",
        ..transcript
    }
}

/// A line that is too long by one byte.
const LONG_LINE: [u8; 4098] = {
    let mut line = [b'1'; 4098];
    line[4097] = b'\n';
    line
};

/// The longest line that is served: `1` and blanks.
const LONGEST_LINE: [u8; 4097] = {
    let mut line = [b' '; 4097];
    line[0] = b'1';
    line[4096] = b'\n';
    line
};

/// A line without an end.
static ENDLESS_LINE: [u8; 60_000] = [b'('; 60_000];

pub const TRANSCRIPTS: &[Transcript] = &[
    row("a line is answered with a line", Service::Calc, b"1 + 2\n", b"3\n"),
    row("a telnet line ends in CRLF, and so does its answer", Service::Calc, b"1+2\r\n", b"3\r\n"),
    row(
        "each answer ends as its question did",
        Service::Calc,
        b"1\r\n2\n3\r\n4\n",
        b"1\r\n2\n3\r\n4\n",
    ),
    row(
        "pipelined lines are answered in order",
        Service::Calc,
        b"1\n2\n3\n4\n5\n",
        b"1\n2\n3\n4\n5\n",
    ),
    row("division is true division", Service::Calc, b"30 / 10\n", b"3.0\n"),
    row(
        "an error is an answer, and the next line is served",
        Service::Calc,
        b"1 / 0\n1 / 1\n",
        b"ZeroDivisionError: division by zero\n1.0\n",
    ),
    row(
        "an empty line is answered",
        Service::Calc,
        b"\n",
        b"SyntaxError: invalid syntax (<string>, line 0)\n",
    ),
    row("an empty text as the answer is shown", Service::Calc, b"hex(1) * 0\n", b"''\n"),
    row("the longest line that is allowed is served", Service::Calc, &LONGEST_LINE, b"1\n"),
    closing(row("a half-closing client gets every answer", Service::Calc, b"1\n2\n", b"1\n2\n")),
    closing(row(
        "an unterminated last line is answered without one",
        Service::Calc,
        b"1\n2",
        b"1\n2",
    )),
    closing(row("a client that sends nothing receives nothing", Service::Calc, b"", b"")),
    Transcript {
        name: "a line over the limit is answered once, and ends the connection",
        service: Service::Calc,
        input: &LONG_LINE,
        output: b"ValueError: message too long (limit 4096 bytes)\n",
        half_close: false,
        ending: Some(CloseReason::TooLong),
        trailing: b"1\n",
    },
    Transcript {
        name: "a line that never ends is answered once, and ends the connection",
        service: Service::Calc,
        input: &ENDLESS_LINE,
        output: b"ValueError: message too long (limit 4096 bytes)\n",
        half_close: false,
        ending: Some(CloseReason::TooLong),
        trailing: b"\n1\n",
    },
    Transcript {
        name: "echo sends every byte back, whatever it is",
        service: Service::Echo,
        input: b"abc\0\xff\r\n\n\x1b[2J",
        output: b"abc\0\xff\r\n\n\x1b[2J",
        half_close: false,
        ending: None,
        trailing: b"",
    },
    closing(row("echo ends when its client does", Service::Echo, b"no newline", b"no newline")),
    Transcript {
        name: "hello greets once and closes",
        service: Service::Hello,
        input: b"Hello from the client!\n",
        output: b"Hello from the server!\n",
        half_close: false,
        ending: Some(CloseReason::Served),
        trailing: b"and more\n",
    },
    Transcript {
        name: "hello greets a client that closes its half without a newline",
        service: Service::Hello,
        input: b"hi",
        output: b"Hello from the server!",
        half_close: true,
        ending: Some(CloseReason::Served),
        trailing: b"",
    },
    Transcript {
        name: "fourops has four lines for two numbers, and no empty one behind them",
        service: Service::Fourops,
        input: b"12,5\r\n",
        output: b"Addition: 17\nSubtraction: 7\nMultiplication: 60\nDivision: 2.4\r\n",
        half_close: false,
        ending: Some(CloseReason::Served),
        trailing: b"1,2\r\n",
    },
    row(
        "fourops answers one operation after the other",
        Service::Fourops,
        b"add 1 2\ndivide 1 0\n",
        b"3\nundefined (division by zero)\n",
    ),
];
