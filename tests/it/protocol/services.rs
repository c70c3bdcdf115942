//! The small services and their wrappers, each without I/O and with the test's own clock.

use std::process::Stdio;
use std::sync::Arc;

use socklab::service::{ServiceKind, ServiceSpec};
use socklab::session::GAP;

use crate::common::assert_bytes;
use crate::common::connection::{Connection, peer};
use crate::common::server::{MODELS, Server, socklab};
use crate::common::transcript::Service;

const FOUR: &str = "Addition: 17\nSubtraction: 7\nMultiplication: 60\nDivision: 2.4\n";

/// Sends `input`, waits for the gap, and expects `output`, then the end of output if it `ends`.
#[track_caller]
fn answers(spec: &ServiceSpec, input: &[u8], output: &[u8], ends: bool) {
    let mut connection = Connection::with(spec.build(peer(1)));
    connection.receive(input, usize::MAX);
    connection.wait(GAP);
    assert_bytes(&connection.output, output);
    assert_eq!(connection.shut_down, ends, "{}", input.escape_ascii());
}

#[test]
fn fourops_answers_two_numbers_with_four_lines_and_the_end() {
    for input in ["12,5\n", "12 5\n", " 12 , 5 \n", "+12\t005\n", "12,5"] {
        answers(&ServiceKind::Fourops.into(), input.as_bytes(), FOUR.as_bytes(), true);
    }
    let windows = FOUR.trim_end().to_owned() + "\r\n";
    answers(&ServiceKind::Fourops.into(), b"12,5\r\n", windows.as_bytes(), true);
    answers(&ServiceKind::Fourops.into(), b"12,5\0", (FOUR.to_owned() + "\0").as_bytes(), true);
    answers(&ServiceKind::Fourops.into(), b"12,5\n\0", (FOUR.to_owned() + "\0").as_bytes(), true);
    answers(
        &ServiceKind::Fourops.into(),
        b"1,0\n",
        b"Addition: 1\nSubtraction: 1\nMultiplication: 0\n\
          Division: undefined (division by zero)\n",
        true,
    );
}

#[test]
fn fourops_answers_an_operation_with_its_result_and_goes_on() {
    answers(
        &ServiceKind::Fourops.into(),
        b"add 1 2\nsubtract 1,2\nMULTIPLY 0.1 3\ndivide 6 3\ndivide 6 0\nadd 1\nadd\n",
        b"3\n-1\n0.30000000000000004\n2.0\nundefined (division by zero)\n\
          ValueError: expected two numbers, such as 12,5 or add 12 5\n\
          ValueError: expected two numbers, such as 12,5 or add 12 5\n",
        false,
    );
}

#[test]
fn fourops_replies_with_the_expected_syntax_to_a_malformed_request() {
    let error = b"ValueError: expected two numbers, such as 12,5 or add 12 5\n";
    for input in
        ["", "12", "12,", "a,b", "1,2,3", "1+1,2", "__import__('os'),1", "inf,nan", "\u{661},1"]
    {
        answers(&ServiceKind::Fourops.into(), format!("{input}\n").as_bytes(), error, true);
    }
    answers(&ServiceKind::Fourops.into(), b"\xff\xfe,1\n", error, true);
}

fn calc() -> ServiceSpec {
    Service::Calc.spec()
}

fn once(spec: ServiceSpec) -> ServiceSpec {
    ServiceSpec { once: true, ..spec }
}

#[test]
fn once_answers_the_first_request_and_closes() {
    answers(&once(calc()), b"1 + 2\n3 + 4\n", b"3\n", true);
    answers(&once(calc()), b"1 + 2", b"3", true);
    answers(&once(ServiceKind::Echo.into()), b"abc", b"abc", true);
}

#[test]
fn a_banner_is_a_line_in_every_framing() {
    let banner = |spec| ServiceSpec { banner: Some(Arc::from("Welcome")), ..spec };
    answers(&banner(calc()), b"", b"Welcome\n", false);
    answers(&banner(calc()), b"1 + 2", b"Welcome\n3", false);
    answers(&banner(ServiceKind::Echo.into()), b"abc", b"Welcome\nabc", false);
    answers(&banner(once(calc())), b"1\n2\n", b"Welcome\n1\n", true);
}

#[test]
fn a_fixed_error_text_replaces_every_error() {
    let spec = ServiceSpec { error_text: Some(Arc::from("Invalid input")), ..calc() };
    answers(&spec, b"1/0\nx\n1 + 2\n", b"Invalid input\nInvalid input\n3\n", false);
}

#[test]
fn every_model_serves_every_service_with_its_wrappers() {
    let wrappers = ["--once", "--banner", "Welcome"];
    for model in MODELS {
        for (service, question, answer) in [
            ("calc", "1 + 2\n", "3\n"),
            ("echo", "abc\n", "abc\n"),
            ("fourops", "add 1 2\n", "3\n"),
            ("hello", "Hello!\n", "Good day\n"),
        ] {
            let options = ["--model", model, "--service", service];
            let greeting = ["--greeting", "Good day"];
            let greeting = if service == "hello" { &greeting[..] } else { &[] };
            let server = Server::start(&[&options[..], &wrappers, greeting].concat());
            let mut client = server.connect();
            client.send(question.as_bytes());
            let received = String::from_utf8(client.rest()).unwrap();
            assert_eq!(received, format!("Welcome\n{answer}"), "{model}, {service}");
        }
    }
}

#[test]
fn a_results_file_that_cannot_be_written_fails_the_start() {
    let output = socklab(&["serve", "127.0.0.1", "0", "--service", "quiz", "-q"])
        .args(["--results", "/nowhere/results.csv"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout, b"");
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "socklab: cannot write results to /nowhere/results.csv: no such file or directory\n"
    );
}
