//! The threads of the model `pool`: started beforehand, each runs one job after another.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// The service of one client, from its first event to its last byte.
pub(super) type Job = Box<dyn FnOnce() + Send>;

/// A number of threads that wait for jobs. They end when it is dropped and no job is left.
pub(super) struct Pool {
    jobs: Sender<Job>,
}

impl Pool {
    /// Starts the threads, each with a stack of `stack_size` bytes; no more after the first once
    /// `stops` is true.
    pub(super) fn start(
        threads: usize,
        stack_size: usize,
        stops: impl Fn() -> bool,
    ) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        for n in (1..=threads).take_while(|&n| n == 1 || !stops()) {
            let queue = Arc::clone(&queue);
            let work = move || {
                while let Some(job) = next(&queue) {
                    // A panic is a bug of ours, and reported as such. It ends the client's
                    // connection, and the thread is free for the next client.
                    panic::catch_unwind(AssertUnwindSafe(job)).ok();
                }
            };
            let named = thread::Builder::new().name(format!("worker {n}"));
            named.stack_size(stack_size).spawn(work)?;
        }
        Ok(Self { jobs })
    }

    /// Hands a job to a free thread, or to the next that becomes free.
    pub(super) fn run(&self, job: Job) {
        self.jobs.send(job).expect("the threads wait for jobs until the pool is dropped");
    }
}

/// Waits for a job. The free thread that holds the lock waits in the channel, the others for it.
fn next(queue: &Mutex<Receiver<Job>>) -> Option<Job> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    const STACK_SIZE: usize = 64 * 1024;

    /// A job that reports its thread.
    fn report(to: &Sender<String>) -> Job {
        let to = to.clone();
        Box::new(move || to.send(thread::current().name().unwrap().to_owned()).unwrap())
    }

    #[test]
    fn a_job_goes_to_the_thread_that_is_free() {
        let pool = Pool::start(3, STACK_SIZE, || false).unwrap();
        let (reports, names) = mpsc::channel();
        let (begun, over) = (Arc::new(Barrier::new(3)), Arc::new(Barrier::new(3)));
        for _ in 0..2 {
            let (begun, over) = (Arc::clone(&begun), Arc::clone(&over));
            let name = report(&reports);
            pool.run(Box::new(move || {
                name();
                begun.wait();
                over.wait();
            }));
        }
        begun.wait();
        let mut busy = [(); 2].map(|()| names.recv().unwrap());
        for _ in 0..10 {
            pool.run(report(&reports));
            assert!(!busy.contains(&names.recv().unwrap()));
        }
        over.wait();
        busy.sort();
        assert_ne!(busy[0], busy[1]);
    }

    #[test]
    fn a_thread_whose_job_panics_takes_the_next() {
        let pool = Pool::start(1, STACK_SIZE, || false).unwrap();
        let (reports, names) = mpsc::channel();
        for _ in 0..3 {
            pool.run(Box::new(|| panic!("a fault that this test plants")));
            pool.run(report(&reports));
            assert_eq!(names.recv().unwrap(), "worker 1");
        }
    }

    #[test]
    fn jobs_that_wait_when_the_pool_is_dropped_are_run_and_then_the_threads_end() {
        let pool = Pool::start(2, STACK_SIZE, || false).unwrap();
        let (reports, names) = mpsc::channel();
        for _ in 0..20 {
            pool.run(report(&reports));
        }
        drop((pool, reports));
        // The channel ends with the last job.
        assert_eq!(names.iter().count(), 20);
    }
}
