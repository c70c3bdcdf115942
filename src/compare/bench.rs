//! The measurement of one contender: a fresh process, a load on it, and the figures of /proc for
//! both.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::contender::Server;
use super::machine::{Busy, Cores};
use super::rounds::{Outcome, Runner, Sample};
use super::{Config, Point};
use crate::error::{Exit, Failure};
use crate::load::{Measured, Moment, WindowedLoad};
use crate::signal;
use crate::subject::{self, Subject, Usage};

/// The time of the load before it is measured.
const WARM_UP: Duration = Duration::from_millis(50);

/// The time added to it for each connection: the server accepts them all, and may start a thread
/// for each.
const WARM_UP_PER_CONNECTION: Duration = Duration::from_micros(20);

/// The longest wait for the end of a server whose connections have failed.
const DEATH_TIME: Duration = Duration::from_millis(200);

/// Measures contenders with real servers.
pub(super) struct Bench<'c> {
    config: &'c Config,
    load: WindowedLoad,
    cores: Cores,
    /// Set from the first signal to stop on.
    stop: Arc<AtomicBool>,
    progress: ProgressBar,
}

/// The readings at one end of a slice.
struct Reading {
    busy: Option<Busy>,
    /// Processor time of the server.
    cpu_time: Option<Duration>,
    usage: Option<Usage>,
}

impl<'c> Bench<'c> {
    pub(super) fn new(config: &'c Config, load: WindowedLoad) -> Result<Self, Failure> {
        let progress = ProgressBar::new(config.rounds as u64);
        let style = ProgressStyle::with_template("{pos} of {len} rounds, {eta} left");
        progress.set_style(style.expect("the template is valid"));
        // Hidden, unless stderr is a terminal.
        progress.tick();
        Ok(Self {
            config,
            load,
            cores: Cores::divide(config.pattern.threads),
            stop: signal::stop_flag()?,
            progress,
        })
    }

    /// The workload in a few words.
    pub(super) fn description(&self) -> String {
        self.load.description()
    }

    /// The number of cores, and whether servers and load have cores of their own.
    pub(super) fn cores(&self) -> (usize, bool) {
        (self.cores.count(), self.cores.are_divided())
    }

    /// Runs the load on a server.
    fn run_load(
        &self,
        server: Option<&Subject>,
        address: SocketAddr,
        point: Point,
    ) -> Result<(Measured, Sample), Failure> {
        let clients = u32::try_from(point.connections + point.idle).unwrap_or(u32::MAX);
        let times = (WARM_UP + WARM_UP_PER_CONNECTION * clients, self.config.slice);
        let usage = || server.map(Subject::usage);
        let before = usage();
        let mut readings = Vec::new();
        let observe = |moment| {
            let (busy, cpu_time) = (Busy::read(&self.cores), server.map(Subject::cpu_time));
            let usage = if moment == Moment::End { usage() } else { before };
            readings.push(Reading { busy, cpu_time, usage });
        };
        let connections = (point.connections, point.idle);
        let measured = self.load.run(address, connections, times, observe)?;
        let [begin, end] = <[Reading; 2]>::try_from(readings).ok().expect("a slice has two ends");
        let sample = self.sample(&measured, &begin, &end);
        Ok((measured, sample))
    }

    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    fn sample(&self, measured: &Measured, begin: &Reading, end: &Reading) -> Sample {
        let seconds = measured.elapsed.as_secs_f64();
        let quantile = |at| measured.latencies.value_at_quantile(at) as f64 / 1000.0;
        let cpu_time = end.cpu_time.zip(begin.cpu_time);
        let cpu_time = cpu_time.map(|(end, begin)| end.saturating_sub(begin));
        let usage = end.usage;
        let switches = usage.zip(begin.usage);
        // Threads that ended have taken their counts with them.
        let switches = switches.filter(|_| !self.config.pattern.reconnect);
        let ours = cpu_time.map(|time| time + measured.cpu_time);
        let other_work = end.busy.zip(begin.busy);
        Sample {
            rate: measured.answered as f64 / seconds,
            p50_us: quantile(0.5),
            p99_us: quantile(0.99),
            cpu_us: cpu_time.map(|time| time.as_secs_f64() * 1e6 / measured.answered as f64),
            memory: usage.map(|usage| usage.peak_memory),
            threads: usage.map(|usage| usage.threads),
            processes: usage.map(|usage| usage.processes),
            switches: switches.map(|(end, begin)| {
                end.switches.saturating_sub(begin.switches) as f64 / measured.checked as f64
            }),
            checked: measured.checked,
            load_busy: measured.busy,
            other_work: other_work.map_or(0.0, |(end, begin)| end.other_work(&begin, ours)),
        }
    }

    fn outcome(&self, result: Result<(Measured, Sample), Failure>) -> Outcome {
        match result {
            _ if self.stop.load(Ordering::Relaxed) => Outcome::Interrupted,
            Ok((measured, _)) if measured.interrupted => Outcome::Interrupted,
            Ok((Measured { fault: Some(text), .. }, _)) => Outcome::Fault(text),
            Ok((_, sample)) => Outcome::Measured(sample),
            Err(failure) => Outcome::Fault(failure.to_string()),
        }
    }
}

impl Runner for Bench<'_> {
    fn measure(&mut self, contender: usize, point: usize) -> Result<Outcome, Failure> {
        if self.stop.load(Ordering::Relaxed) {
            return Ok(Outcome::Interrupted);
        }
        let point = self.config.points[point];
        let spec = match &self.config.contenders[contender].server {
            Server::Started(spec) => spec,
            Server::Running(host, port) => {
                self.cores.enter_load();
                let found = self.load.find_server(host, *port);
                let result = found.and_then(|address| self.run_load(None, address, point));
                return Ok(self.outcome(result));
            }
        };
        self.cores.enter_servers();
        let started = subject::start(spec, None);
        self.cores.enter_load();
        let mut server = match started {
            Ok(server) => server,
            Err(failure) if failure.exit == Exit::NotListening => {
                let last = failure.details().last().map(|line| format!(" {line}"));
                return Ok(Outcome::Fault(format!("{failure}{}", last.unwrap_or_default())));
            }
            Err(failure) => return Err(failure),
        };
        let outcome = self.outcome(self.run_load(Some(&server), server.address(), point));
        let Outcome::Fault(text) = outcome else {
            server.stop();
            return Ok(outcome);
        };
        let Some(end) = server.wait(DEATH_TIME) else { return Ok(Outcome::Fault(text)) };
        let last = server.last_output().pop().map(|line| format!(" | {line}"));
        let last = last.unwrap_or_default();
        Ok(Outcome::Fault(format!("the server ended by itself: {end}{last}")))
    }

    fn round_ended(&mut self, rounds: usize) {
        self.progress.set_position(rounds as u64);
        if rounds == self.config.rounds {
            self.progress.finish_and_clear();
        }
    }
}

impl Drop for Bench<'_> {
    fn drop(&mut self) {
        self.progress.finish_and_clear();
    }
}
