//! A program that runs beside a subject until it ends, such as a test of it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::thread;
use std::time::Duration;

use super::start::{pipe, spawn_supervised};
use super::{EndStatus, ProcessSettings, Spec};

/// The most bytes of its stdout that are kept: the first ones.
const MAX_STDOUT: u64 = 1 << 20;

/// A program that has ended.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Its end; none if the time limit ended it.
    pub end: Option<EndStatus>,
    /// Its stdout.
    pub stdout: Vec<u8>,
    /// The last lines of its stderr.
    pub last_errors: Vec<String>,
}

/// Runs a program until it ends, for at most `most`; no process that it has started is left then.
/// It has the limits of the subject `spec`, because it may start that as well, and no input.
pub fn run_program(
    spec: &Spec,
    words: &[OsString],
    environment: &[(&str, OsString)],
    most: Duration,
) -> io::Result<Finished> {
    let (stdout, theirs) = pipe()?;
    let settings = ProcessSettings { silent_stdin: false, ..spec.settings };
    let spec = &Spec { settings, ..spec.clone() };
    let mut program = spawn_supervised(spec, words, environment, Some(theirs))?;
    let reader = thread::Builder::new().spawn(move || read(File::from(stdout)))?;
    program.wait_until(most, |program| program.end.is_some() || program.gone);
    let end = program.end;
    program.stop_within(Duration::ZERO);
    // Every process that has the pipe has ended.
    let stdout = reader.join().unwrap_or_default();
    Ok(Finished { end, stdout, last_errors: program.last_output() })
}

/// The beginning of what comes out of a pipe, which is read to its end.
fn read(pipe: File) -> Vec<u8> {
    let mut first = Vec::new();
    let mut pipe = pipe.take(MAX_STDOUT);
    pipe.read_to_end(&mut first).ok();
    io::copy(pipe.get_mut(), &mut io::sink()).ok();
    first
}
