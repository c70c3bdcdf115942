//! The command line: slips that are told with what was meant, defaults in the help, and arguments
//! that are shown without harm.

use std::fs::OpenOptions;
use std::process::Stdio;

use crate::common::server::{MODELS, Server, run, run_to_end, socklab};

/// Runs a usage error. Returns its text.
#[track_caller]
fn usage_error(args: &[&str]) -> String {
    let (code, text) = run(args);
    assert_eq!(code, Some(2), "{args:?}: {text}");
    text
}

#[test]
fn a_port_without_a_host_is_a_usage_error_with_the_corrected_line() {
    for command in ["client", "play", "bench", "serve", "server1"] {
        for (given, meant) in [
            ("5000", "127.0.0.1 5000"),
            (":5000", "127.0.0.1 5000"),
            ("localhost:5000", "localhost 5000"),
            ("[::1]:5000", "::1 5000"),
        ] {
            // bench takes HOST:PORT as well.
            if command == "bench" && given.contains(':') {
                continue;
            }
            let text = usage_error(&[command, given]);
            assert!(text.contains(&format!(": socklab {command} {meant}\n")), "{text}");
        }
        for given in ["0x1388", "70000", "", "[]"] {
            let text = usage_error(&[command, given, "5000"]);
            assert!(text.contains("expected a host name or an address"), "{text}");
        }
    }
}

#[test]
fn an_option_of_another_service_is_a_usage_error_that_names_both() {
    for (line, text) in [
        (
            &["serve", "--questions", "3"][..],
            "--questions is an option of quiz, but the service is calc",
        ),
        (&["session", "--seed", "1"], "--seed is an option of quiz, but the service is calc"),
        (
            &["server4", "--dialect", "integer"],
            "--dialect is an option of calc, but the service is echo",
        ),
        (
            &["serve", "--service", "quiz", "--error-text", "no"],
            "--error-text is an option of calc, but the service is quiz",
        ),
        (
            &["serve", "--service", "echo", "--results", "r.csv"],
            "--results is an option of quiz, but the service is echo",
        ),
        (
            &["server1", "--service", "fourops", "--greeting", "Hi"],
            "--greeting is an option of hello, but the service is fourops",
        ),
    ] {
        let error = usage_error(line);
        assert!(error.contains(text), "{error}");
    }
}

#[test]
fn the_help_of_each_command_names_its_own_defaults() {
    for (command, model, service) in [
        ("serve", "loop", "calc"),
        ("server1", "single", "calc"),
        ("server2", "thread", "calc"),
        ("server3", "loop", "calc"),
        ("server4", "loop", "echo"),
    ] {
        let output = socklab(&[command, "-h"]).stdin(Stdio::null()).output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        for default in [
            format!("The design of the server [default: {model}]"),
            format!("The service [default: {service}]"),
        ] {
            assert!(help.contains(&default), "{command}: {help}");
        }
    }
}

#[test]
fn select_is_another_name_of_poll_and_the_help_says_why() {
    Server::start(&["--model", "select"]).log_line("serving calc with model poll on ");
    let output = socklab(&["serve", "--help"]).stdin(Stdio::null()).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(help.contains("select(2) cannot watch descriptors from 1024 on"), "{help}");
}

#[test]
fn a_help_or_version_text_that_cannot_be_written_is_a_failure() {
    for args in [&["--version"][..], &["--help"], &["client", "-h"]] {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = socklab(args).stdin(Stdio::null()).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        let text = "socklab: cannot write to standard output: no space left on device\n";
        assert_eq!(String::from_utf8(output.stderr).unwrap(), text);
    }
}

#[test]
fn a_ready_line_that_cannot_be_written_is_a_failure() {
    for model in MODELS {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = socklab(&["serve", "127.0.0.1", "0", "-q", "--model", model]);
        let (code, text) = run_to_end(command.stdin(Stdio::null()).stdout(full));
        assert_eq!(code, Some(1), "{model}");
        assert_eq!(text, "socklab: cannot write to standard output: no space left on device\n");
    }
}

#[test]
fn a_failure_shows_an_argument_without_its_hidden_characters() {
    for (args, shown) in [
        (&["client", "\x1b[2J\u{202e}.invalid", "5000"][..], "\\x1b[2J\\u{202e}.invalid"),
        (&["\x1b]0;title\x07"], "\\x1b]0;title\\x07"),
        (&["serve", "--\u{200b}\n"], "--\\u{200b}\\n"),
        (&["serve", "--results", "/no\x1bwhere/r.csv", "--service", "quiz"], "/no\\x1bwhere/r.csv"),
    ] {
        let (_, text) = run(args);
        assert!(text.contains(shown), "{text:?}");
        assert!(!text.contains(|letter| letter != '\n' && letter < ' '), "{text:?}");
    }
}

#[test]
fn an_empty_log_filter_is_no_filter() {
    for filter in ["", " "] {
        let output =
            socklab(&["session"]).env("RUST_LOG", filter).stdin(Stdio::null()).output().unwrap();
        let log = String::from_utf8(output.stderr).unwrap();
        assert!(log.contains("INFO ] client 1 left"), "{log}");
    }
}

#[test]
fn an_invalid_log_filter_is_no_failure_though_stderr_is_full() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut session = socklab(&["session"]);
    session.env("RUST_LOG", "a=b=c").stdin(Stdio::null()).stdout(Stdio::null()).stderr(full);
    assert!(session.status().unwrap().success());
}

#[test]
fn verbose_shows_milliseconds_and_text_as_it_is() {
    for model in ["loop", "process"] {
        let mut server = Server::start(&["-v", "--service", "echo", "--model", model]);
        let text = "\u{fc} \"1\"";
        server.connect().ask(text.as_bytes(), text.as_bytes());
        let line = server.log_line(" -> ");
        let (time, exchange) = line.split_once("Z DEBUG] ").unwrap_or_else(|| panic!("{line}"));
        assert_eq!(time.rsplit_once('.').unwrap().1.len(), 3, "{line}");
        assert_eq!(exchange, format!("client 1: \"{text}\" -> \"{text}\"\n"));
    }
}
