//! The outputs of a load or a comparison: the report, and the files that were asked for.
//!
//! The files are created before the load, so that a wrong path is told before it, and written after
//! it. The report comes first, and a file that cannot be written does not keep back the others.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::config::Config;
use super::hdr_log::HdrLog;
use super::latencies::Latencies;
use super::plot;
use super::report::LoadReport;
use super::series::Row;
use crate::error::{Exit, Failure};

/// A file for a part of a report, open for writing.
#[derive(Debug)]
pub struct OutputFile {
    path: PathBuf,
    file: File,
}

impl OutputFile {
    /// Creates the file, if there is a path.
    pub fn create(path: Option<&PathBuf>) -> Result<Option<Self>, Failure> {
        let Some(path) = path else { return Ok(None) };
        let file = File::create(path).map_err(|error| cannot_write(path, &error))?;
        Ok(Some(Self { path: path.clone(), file }))
    }

    /// Writes all of it.
    pub fn write(
        self,
        write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let mut file = BufWriter::new(self.file);
        write(&mut file)
            .and_then(|()| file.flush())
            .map_err(|error| cannot_write(&self.path, &error))
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::cannot(format_args!("write {}", path.display()), error)
}

/// The files of a load.
pub(super) struct Outputs {
    csv: Option<OutputFile>,
    hdr: Option<OutputFile>,
    plot: Option<OutputFile>,
}

impl Outputs {
    /// Creates the files that were asked for.
    pub(super) fn create(config: &Config) -> Result<Self, Failure> {
        Ok(Self {
            csv: OutputFile::create(config.csv.as_ref())?,
            hdr: OutputFile::create(config.hdr.as_ref())?,
            plot: OutputFile::create(config.plot.as_ref())?,
        })
    }

    /// Writes the report to standard output, and then the files. Fails with all that could not be
    /// written.
    pub(super) fn write(
        self,
        report: &LoadReport,
        latencies: &Latencies,
        hdr: Option<&HdrLog>,
        json: bool,
    ) -> Result<(), Failure> {
        let csv = |file: &mut BufWriter<File>| write_csv(&report.intervals, file);
        let log = |file: &mut BufWriter<File>| file.write_all(hdr.map_or(&[], HdrLog::text));
        let picture = |file: &mut BufWriter<File>| plot::write(report, latencies, file);
        all_written([
            print_report(&if json { report.json() + "\n" } else { report.to_string() }),
            self.csv.map_or(Ok(()), |target| target.write(csv)),
            self.hdr.map_or(Ok(()), |target| target.write(log)),
            self.plot.map_or(Ok(()), |target| target.write(picture)),
        ])
    }
}

/// The failure of all that could not be written, if there is any.
pub fn all_written(results: impl IntoIterator<Item = Result<(), Failure>>) -> Result<(), Failure> {
    let failures: Vec<String> =
        results.into_iter().filter_map(|result| Some(result.err()?.to_string())).collect();
    if failures.is_empty() {
        return Ok(());
    }
    Err(Failure::new(Exit::Failed, failures.join("; ")))
}

/// Writes a report to standard output.
pub fn print_report(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        // The reader has left.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(|error| Failure::cannot("write to standard output", &error)),
    }
}

/// Writes the intervals as CSV, with a header.
fn write_csv(rows: &[Row], file: &mut impl Write) -> io::Result<()> {
    let mut table = csv::Writer::from_writer(file);
    for row in rows {
        table.serialize(row)?;
    }
    table.flush()
}
