//! The command `grade` on servers whose faults are known: the plain servers in scripts/peers and
//! our own models have none, a mutant fails its own tests and no other, and a student's habits are
//! no faults. All tests, and designs
//! in other languages: scripts/mutate-servers.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::Value;

use crate::common::server::{MODELS, socklab};

/// The plain servers, and their designs.
const PEERS: [(&str, &str); 7] = [
    ("iterative", "single"),
    ("thread", "thread"),
    ("pool", "pool"),
    ("process", "process"),
    ("prefork", "prefork"),
    ("select_loop", "loop"),
    ("asyncio_loop", "loop"),
];

/// The mutants, and the tests that must fail.
const MUTANTS: &str = include_str!("mutants.txt");

/// The habits of students' servers, and the tests that must fail.
const STUDENTS: &str = include_str!("students.txt");

/// The bugs and habits of a quiz, and the tests that must fail.
const QUIZZES: &str = include_str!("quiz.txt");

/// Servers that only the script runs: they take seconds, or another one stands for them here.
const SLOW: [&str; 52] = [
    "shared-result",
    "half-close-dropped",
    "waits-for-first",
    "closes-former",
    "one-client-then-end",
    "ignores-signals",
    "bind-unchecked",
    "never-closes",
    "threads-stay",
    "parent-keeps",
    "wakes",
    "late",
    "hundred-clients",
    "late_greeting",
    "length_of_4_bytes",
    "noisy",
    "numbered_greeting",
    "pickled",
    "silent",
    "tidies_up",
    "slow",
    "typed",
    "wants_crlf",
    "wants_nul",
    "banner_and_prompts",
    "menu_after_each",
    "json_objects",
    "scientific",
    "padded",
    "padded_with_blanks",
    "byte_by_byte",
    "closes_on_empty_line",
    "pauses",
    "header_of_64",
    "ipv6",
    "any_port",
    "by_commands",
    "counts-all",
    "shared-question",
    "word-closes",
    "plays-anyway",
    "endless",
    "one-recv",
    "bare-pauses",
    "nameless",
    "running-score",
    "word-ends",
    "stays-open",
    "open-at-end",
    "wordy",
    "repeats",
    "tells-at-end",
];

/// The tests that take little time, which a correct server is to pass.
const QUICK: &str = "four-operators,second-after-first,second-while-first,several-at-once,\
     one-leaves,own-answers,who-serves,wrong-input,divide-by-zero,newline,two-pieces,byte-by-byte,\
     two-in-one,half-close,no-newline,reset,unread-answer,silent-client,greeting,odd-bytes,stops,\
     restart,port-occupied";

/// Tests that a mutant passes beside its own.
const NEIGHBOURS: &str = "four-operators,wrong-input,two-pieces,two-in-one,half-close,reset,stops";

/// Tests that a student's server passes beside those that must fail.
const HABITS: &str = "four-operators,second-while-first,wrong-input,divide-by-zero,two-pieces,\
     two-in-one,half-close,no-newline,reset,silent-client,stops,port-occupied";

/// Tests that a quiz passes beside those that must fail.
const GAMES: &str = "whole-game,verdicts,refusal,own-games,who-serves,wrong-input,two-in-one,\
     half-close";

/// Gradings at the same time; most of their time they wait.
const AT_ONCE: usize = 4;

/// A grading and its result.
struct Case {
    options: Vec<String>,
    server: Vec<String>,
    /// The tests that run beside those that must fail.
    others: &'static str,
    fails: BTreeSet<String>,
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn in_tree(path: &str) -> String {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path).display().to_string()
}

/// The report and the exit code of a grading.
fn report(options: &[&str], server: &[String]) -> (Value, Option<i32>) {
    let mut command = socklab(&["grade", "--format", "json"]);
    command.args(options).arg("--").args(server).args(["{host}", "{port}"]);
    let output = command.output().unwrap();
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{server:?}: {error}: {}", String::from_utf8_lossy(&output.stderr))
    });
    (report, output.status.code())
}

/// A server of students.py.
fn student(name: &str) -> Vec<String> {
    words(&["python3", &in_tree("tests/it/grade/students.py"), name])
}

/// Grades, and describes a verdict that is wrong.
fn grade(case: &Case) -> Option<String> {
    let only: Vec<_> = case.fails.iter().map(String::as_str).chain([case.others]).collect();
    let only = only.join(",");
    let options: Vec<_> =
        case.options.iter().map(String::as_str).chain(["--only", &only]).collect();
    let (report, code) = report(&options, &case.server);
    let points = report["points"].as_array().unwrap();
    let failing = points.iter().filter(|point| point["outcome"] == "fails");
    let fails: BTreeSet<_> =
        failing.clone().map(|point| point["name"].as_str().unwrap().to_owned()).collect();
    let status = i32::from(!fails.is_empty());
    let right = fails == case.fails && code == Some(status);
    let seen: Vec<_> = failing.map(Value::to_string).collect();
    (!right).then(|| {
        let (server, expected, seen) = (&case.server, &case.fails, seen.join("\n"));
        format!("{server:?}: {expected:?} must fail, exit code {code:?}:\n{seen}")
    })
}

/// Runs gradings, and fails if a verdict is wrong.
fn check(cases: &[Case]) {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut wrong = Vec::new();
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            wrong.extend(grade(case));
        }
        wrong
    };
    let wrong: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// The design that a grading finds in a model.
fn design_of(model: &str) -> &str {
    if ["poll", "sharded"].contains(&model) { "loop" } else { model }
}

#[test]
fn a_topic_that_explains_a_fault_is_a_lesson() {
    let listed = socklab(&["show"]).output().unwrap().stdout;
    let listed = String::from_utf8(listed).unwrap();
    let lessons: BTreeSet<_> =
        listed.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).collect();
    let mut topics = BTreeSet::new();
    for file in fs::read_dir(in_tree("src/grade")).unwrap() {
        let path = file.unwrap().path();
        let text = if path.is_file() { fs::read_to_string(path).unwrap() } else { String::new() };
        let named = text.split(".topic(\"").skip(1);
        topics.extend(named.map(|rest| rest.split('"').next().unwrap().to_owned()));
    }
    assert!(!topics.is_empty());
    for topic in topics {
        assert!(lessons.contains(topic.as_str()), "{topic}");
    }
}

#[test]
fn a_correct_server_of_every_design_passes() {
    let peers = PEERS.iter().map(|(name, design)| Case {
        options: words(&["--expect", design]),
        server: words(&["python3", &in_tree(&format!("scripts/peers/{name}.py"))]),
        others: QUICK,
        fails: BTreeSet::new(),
    });
    let models = MODELS.iter().map(|&model| Case {
        options: words(&["--expect", design_of(model)]),
        server: words(&[env!("CARGO_BIN_EXE_socklab"), "serve", "-q", "--model", model]),
        others: QUICK,
        fails: BTreeSet::new(),
    });
    check(&peers.chain(models).collect::<Vec<_>>());
}

/// The servers of a program that a list names, each with the tests that must fail.
fn listed(list: &str, program: &str, others: &'static str) -> Vec<Case> {
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    let servers = lines.map(|line| line.split_once(' ').unwrap());
    let quick = servers.filter(|(name, _)| !SLOW.contains(name));
    let case = |(name, tests): (&str, &str)| Case {
        options: Vec::new(),
        server: words(&["python3", &in_tree(program), name]),
        others,
        fails: tests.split(',').filter(|&test| test != "-").map(str::to_owned).collect(),
    };
    quick.map(case).collect()
}

#[test]
fn a_mutant_fails_its_own_tests_and_no_other() {
    check(&listed(MUTANTS, "tests/it/grade/mutant.py", NEIGHBOURS));
}

#[test]
fn a_student_fails_by_faults_and_not_by_habits() {
    check(&listed(STUDENTS, "tests/it/grade/students.py", HABITS));
}

#[test]
fn a_quiz_fails_by_faults_and_not_by_habits() {
    let mut cases = listed(QUIZZES, "tests/it/grade/quiz.py", GAMES);
    let correct = |design: &str, server: Vec<String>| Case {
        options: words(&["--expect", design]),
        server,
        others: GAMES,
        fails: BTreeSet::new(),
    };
    cases.push(correct("thread", words(&["python3", &in_tree("scripts/peers/quiz.py")])));
    cases.extend(["single", "loop", "process"].map(|model| {
        let serve = [env!("CARGO_BIN_EXE_socklab"), "serve", "-q", "--service", "quiz", "--model"];
        correct(design_of(model), words(&[&serve[..], &[model]].concat()))
    }));
    for case in &mut cases {
        case.options.extend(words(&["--service", "quiz"]));
    }
    check(&cases);
}

#[test]
fn a_server_that_cannot_be_graded_is_described_in_a_sentence() {
    let sentences = [
        ("typed", "a person is to type its answers"),
        ("silent", "it answers no question"),
        ("pickled", "its answers are no text"),
        ("by_commands", "is answered \"unknown command"),
    ];
    let check = |(name, expected): (&str, &str)| {
        let (report, _) = report(&["--only", "four-operators"], &student(name));
        let said = report["dialogue"].as_array().unwrap();
        assert!(said.len() == 1 && said[0].as_str().unwrap().contains(expected), "{said:?}");
    };
    thread::scope(|scope| {
        for sentence in sentences {
            scope.spawn(move || check(sentence));
        }
    });
}

#[test]
fn a_server_that_ends_with_its_first_client_has_not_survived_a_reset() {
    let only = "second-after-first,reset,unread-answer,odd-bytes";
    let server = words(&["python3", &in_tree("tests/it/grade/quiz.py"), "leaving-kills"]);
    let (report, code) = report(&["--service", "quiz", "--only", only], &server);
    let points = report["points"].as_array().unwrap();
    let outcome = |name: &str| {
        let point = points.iter().find(|point| point["name"] == name).unwrap();
        point["outcome"].as_str().unwrap()
    };
    assert_eq!(code, Some(1));
    assert_eq!(outcome("second-after-first"), "fails", "{report}");
    for test in ["reset", "unread-answer", "odd-bytes"] {
        assert_eq!(outcome(test), "untested", "{report}");
    }
    assert!(points[0]["evidence"].to_string().contains("the player has left"), "{report}");
}

#[test]
fn a_server_of_another_service_is_told_so() {
    let peer = |name: &str| words(&["python3", &in_tree(&format!("scripts/peers/{name}.py"))]);
    let (report, _) = report(&["--only", "four-operators,who-serves"], &peer("quiz"));
    assert!(report["dialogue"][0].as_str().unwrap().contains("--service quiz"), "{report}");
    let who_serves = &report["points"].as_array().unwrap()[1];
    assert_eq!(who_serves["outcome"], "untested", "{report}");
}

#[test]
fn faults_of_one_cause_are_explained_once() {
    let only = "two-pieces,byte-by-byte,two-in-one,half-close";
    let (report, _) = report(&["--only", only], &student("one_recv"));
    let points = report["points"].as_array().unwrap();
    let of = |name: &str| points.iter().find(|point| point["name"] == name).unwrap();
    let first = of("two-pieces");
    let advice = first["advice"].as_str().unwrap();
    assert!(advice.starts_with("two-pieces, byte-by-byte, two-in-one fail for one cause"));
    assert_eq!(first["same_cause_as"], Value::Null);
    for other in ["byte-by-byte", "two-in-one"] {
        assert_eq!(of(other)["same_cause_as"], "two-pieces", "{}", of(other));
        assert!(!of(other)["evidence"].as_array().unwrap().is_empty());
    }
}

#[test]
fn what_the_time_limit_cuts_is_not_run_and_does_not_hold() {
    let options = ["--time-limit", "1ms", "--only", "four-operators,stops"];
    let also = in_tree("scripts/scenarios/run");
    let options = [&options[..], &["--also", &also]].concat();
    let (report, code) = report(&options, &student("ends_in_crlf"));
    assert_eq!(code, Some(1));
    let points = report["points"].as_array().unwrap();
    let not_run = points.iter().filter(|point| point["outcome"] == "not_run").count();
    assert_eq!((not_run, points.len()), (3, 3), "{report}");
}

#[test]
fn a_script_that_cannot_be_run_is_a_usage_error() {
    for script in ["no-such-script", "Cargo.toml", "src"] {
        let options = ["grade", "--also", &in_tree(script), "--", "true"];
        let output = socklab(&options).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{script}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("--also") && said.contains(script), "{said}");
    }
}
