//! The configuration of a load, and the workload that is prepared from it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::MAX_SHOWN;
use super::connect::Target;
use super::workload::{MAX_IN_FLIGHT, MAX_REQUEST, Workload};
use crate::arithmetic::Dialect;
use crate::error::{Exit, Failure};
use crate::escape;

/// The default of [`Pattern::timeout`].
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// The default of [`Config::length`].
pub const DEFAULT_DURATION: Duration = Duration::from_secs(10);

/// The default size of the lines for echo, in bytes.
pub const DEFAULT_ECHO_SIZE: usize = 16;

/// The length of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// No request is sent after this time; the replies in flight are still awaited.
    Time(Duration),
    /// The number of requests.
    Requests(u64),
}

/// The requests of a load, as options name them.
#[derive(Clone, Debug)]
pub enum WorkloadSpec {
    /// Lines of this size in bytes, for a server that echoes them.
    Echo(usize),
    /// Expressions, for a server that evaluates them; without any, sums.
    Calc {
        /// From the command line.
        expressions: Vec<String>,
        /// A file with one expression on each line.
        file: Option<PathBuf>,
        /// The dialect in which the server evaluates.
        dialect: Dialect,
        /// The longest message that the server takes, in bytes.
        max_message: usize,
    },
    /// The same text again and again, for any server.
    Exchange {
        /// The request.
        send: Vec<u8>,
        /// The reply; none if any will do.
        expect: Option<Vec<u8>>,
    },
}

/// The connections of a load, and the requests on them.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// The number of connections open at the same time.
    pub connections: usize,
    /// The most requests in flight on each connection.
    pub pipeline: usize,
    /// The number of threads that share the connections; never more than connections are used.
    pub threads: usize,
    /// True if each request has a connection of its own.
    pub reconnect: bool,
    /// The time limit for connecting, and for each reply.
    pub timeout: Duration,
    /// The requests.
    pub workload: WorkloadSpec,
    /// True if neither requests nor replies end in a newline.
    pub bare: bool,
}

impl Pattern {
    /// The threads that have a connection.
    pub(super) fn used_threads(&self) -> usize {
        self.threads.min(self.connections)
    }
}

/// The configuration of a load.
#[derive(Clone, Debug)]
pub struct Config {
    /// The server.
    pub target: Target,
    /// Its connections and requests.
    pub pattern: Pattern,
    /// The time before the load in which requests are sent and not counted.
    pub warm_up: Duration,
    /// The length of the load.
    pub length: Length,
    /// Requests due per second; none for a closed loop.
    pub rate: Option<u64>,
    /// True if the report is printed as JSON.
    pub json: bool,
    /// A file for the intervals, as CSV.
    pub csv: Option<PathBuf>,
    /// A file for the latencies of the intervals, as a log of HDR histograms.
    pub hdr: Option<PathBuf>,
    /// A file for the picture, as SVG.
    pub plot: Option<PathBuf>,
}

/// Prepares the workload, and refuses one that a connection cannot carry.
pub(super) fn prepare_workload(pattern: &Pattern) -> Result<Workload, Failure> {
    let usage = |text| Failure::new(Exit::Usage, text);
    let smallest = match pattern.workload {
        WorkloadSpec::Echo(size) => size,
        WorkloadSpec::Calc { .. } | WorkloadSpec::Exchange { .. } => 1,
    };
    // Checked first, because the pipeline decides how large a workload is prepared.
    if pattern.pipeline.saturating_mul(smallest) > MAX_IN_FLIGHT {
        return Err(too_much_in_flight());
    }
    let workload = match &pattern.workload {
        WorkloadSpec::Echo(size) if pattern.bare => Workload::echo(*size + 1, 1).bare(),
        WorkloadSpec::Echo(size) => Workload::echo(*size, pattern.pipeline),
        WorkloadSpec::Calc { expressions, file, dialect, max_message } => {
            let mut expressions = expressions.clone();
            if let Some(path) = file {
                let text = fs::read_to_string(path)
                    .map_err(|error| Failure::cannot(format!("read {}", path.display()), &error))?;
                expressions.extend(text.lines().map(str::to_owned));
                if expressions.is_empty() {
                    return Err(usage(format!("no expression in {}", path.display())));
                }
            }
            for text in &expressions {
                check_expression(text, *max_message)?;
            }
            if pattern.bare && expressions.iter().any(String::is_empty) {
                return Err(usage("an empty expression without a newline is nothing".to_owned()));
            }
            let workload = Workload::calc(&expressions, *dialect);
            if pattern.bare { workload.bare() } else { workload }
        }
        WorkloadSpec::Exchange { send, expect } => {
            Workload::exchange(send, expect.as_deref(), pattern.bare)
        }
    };
    let longest = workload.longest_request();
    if longest > MAX_REQUEST {
        return Err(usage(format!(
            "a request of {longest} bytes is over the limit, {MAX_REQUEST}"
        )));
    }
    if longest * pattern.pipeline > MAX_IN_FLIGHT {
        return Err(too_much_in_flight());
    }
    Ok(workload)
}

/// Refuses an expression that the server would not take for one message, so that its reply would
/// not be the one that is expected.
fn check_expression(text: &str, max_message: usize) -> Result<(), Failure> {
    if text.len() > max_message {
        let length = text.len();
        let text =
            format!("an expression of {length} bytes is over the server's limit, {max_message}");
        let hint = "if the server has another limit, use the same --max-message";
        return Err(Failure::new(Exit::Usage, text).hint(hint));
    }
    let problem = if text.contains('\n') {
        "is more than one line"
    } else if text.ends_with('\r') {
        "ends in a carriage return, which is a part of the end of a line"
    } else if text.contains('\0') {
        "has a NUL in it, which ends a message"
    } else {
        return Ok(());
    };
    let text = escape::excerpt(text.as_bytes(), MAX_SHOWN);
    Err(Failure::new(Exit::Usage, format!("the expression \"{text}\" {problem}")))
}

fn too_much_in_flight() -> Failure {
    let text =
        format!("at most {MAX_IN_FLIGHT} bytes of requests can be in flight on a connection");
    Failure::new(Exit::Usage, text).hint("use a smaller --pipeline, or smaller requests")
}

/// The workload in a few words, for the report.
pub(super) fn describe_workload(pattern: &Pattern) -> String {
    let bare = if pattern.bare { " (bare)" } else { "" };
    let workload = match &pattern.workload {
        WorkloadSpec::Echo(1) => "echo of 1 byte".to_owned(),
        WorkloadSpec::Echo(size) => format!("echo of {size} bytes"),
        WorkloadSpec::Calc { expressions, file: None, .. } => match expressions.as_slice() {
            [] => "calc of sums".to_owned(),
            [one] => format!("calc of \"{}\"", escape::excerpt(one.as_bytes(), MAX_SHOWN)),
            more => format!("calc of {} expressions", more.len()),
        },
        WorkloadSpec::Calc { file: Some(path), .. } => {
            format!("calc of the lines of {}", path.display())
        }
        WorkloadSpec::Exchange { send, expect } => {
            let send = escape::excerpt(send, MAX_SHOWN);
            let expect = expect.as_ref().map(|reply| escape::excerpt(reply, MAX_SHOWN));
            let expect = expect.map_or("any reply".to_owned(), |reply| format!("\"{reply}\""));
            format!("exchange of \"{send}\" for {expect}")
        }
    };
    workload + bare
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_without_a_connection_is_not_used() {
        let used = |connections, threads| {
            let pattern = Pattern {
                connections,
                pipeline: 1,
                threads,
                reconnect: false,
                timeout: DEFAULT_TIMEOUT,
                workload: WorkloadSpec::Echo(DEFAULT_ECHO_SIZE),
                bare: false,
            };
            pattern.used_threads()
        };
        assert_eq!([used(1, 4), used(4, 4), used(50, 4)], [1, 4, 4]);
    }
}
