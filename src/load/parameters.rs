//! The parameters of a load, for its report, and the machine that it ran on.

use std::fmt;

use rustix::system::uname;
use serde::Serialize;

use super::config::{Config, Length, WorkloadSpec, describe_workload};
use super::figures::{counted, time};
use crate::number::grouped;

/// The parameters of a load.
#[derive(Clone, Debug, Serialize)]
pub struct LoadParameters {
    /// The server's address.
    pub server: String,
    /// The workload, such as `echo of 16 bytes`.
    pub service: String,
    /// Connections open at the same time.
    pub connections: usize,
    /// The most requests in flight on each connection.
    pub pipeline: usize,
    /// Threads that share the connections.
    pub threads: usize,
    /// Requests due per second; none in a closed loop.
    pub rate: Option<u64>,
    /// True if each request has a connection of its own.
    pub reconnect: bool,
    /// The size of the lines of echo, in bytes; none for other requests.
    pub size: Option<usize>,
    /// True if neither requests nor replies end in a newline.
    pub bare: bool,
    /// The time before the load in which nothing was counted, in seconds.
    pub warmup_s: f64,
    /// The length of the load in seconds, if it was given as a time.
    pub duration_s: Option<f64>,
    /// The length of the load in requests, if it was given as a number.
    pub requests: Option<u64>,
    /// The time limit for a connection and for a reply, in seconds.
    pub timeout_s: f64,
}

/// The machine that a load ran on.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// The number of cores that this program may use.
    pub cores: usize,
    /// The system and its release, such as `Linux 6.1.0`.
    pub kernel: String,
}

impl Machine {
    /// This machine.
    pub(super) fn this() -> Self {
        let system = uname();
        let [name, release] =
            [system.sysname(), system.release()].map(|text| text.to_string_lossy());
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { cores, kernel: format!("{name} {release}") }
    }
}

impl LoadParameters {
    /// The parameters of the load with this configuration, on a server at this address.
    pub(super) fn new(config: &Config, server: String, threads: usize) -> Self {
        let pattern = &config.pattern;
        let (requests, duration) = match config.length {
            Length::Requests(n) => (Some(n), None),
            Length::Time(time) => (None, Some(time)),
        };
        Self {
            server,
            service: describe_workload(pattern),
            connections: pattern.connections,
            pipeline: pattern.pipeline,
            threads,
            rate: config.rate,
            reconnect: pattern.reconnect,
            size: if let WorkloadSpec::Echo(size) = pattern.workload { Some(size) } else { None },
            bare: pattern.bare,
            warmup_s: config.warm_up.as_secs_f64(),
            duration_s: duration.map(|time| time.as_secs_f64()),
            requests,
            timeout_s: pattern.timeout.as_secs_f64(),
        }
    }
}

impl fmt::Display for LoadParameters {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { server, service, connections, pipeline, threads, rate, reconnect, .. } = self;
        write!(out, "{service} at {server}: {}", counted(*connections as u64, "connection"))?;
        match (reconnect, pipeline) {
            (true, _) => out.write_str(", a new one for each request")?,
            (false, 1) => out.write_str(", 1 request in flight on each")?,
            (false, n) => write!(out, ", {n} requests in flight on each")?,
        }
        if *threads > 1 {
            write!(out, ", {threads} threads")?;
        }
        match rate {
            Some(rate) => write!(out, ", {} requests due per second", grouped(*rate)),
            None => out.write_str(", closed loop"),
        }?;
        if self.warmup_s > 0.0 {
            write!(out, ", after a warm-up of {} that is in no count", time(self.warmup_s * 1e6))?;
        }
        Ok(())
    }
}
