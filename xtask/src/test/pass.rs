//! One run of `cargo test`: shown as it goes, understood, and ended if it hangs.

use super::tally::Said;
use anyhow::{Context as _, Result};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use xtask::tool;

/// Beyond this a test hangs: everything together takes less, even with one slow core.
const MAX_RUN: Duration = Duration::from_secs(25 * 60);
/// How often to look whether the programs have ended without closing their output.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Runs `cargo test` for the whole workspace with more arguments. A build that fails, or a test program that ends
/// without saying how its tests went, counts as one more failure.
///
/// # Errors
/// If cargo cannot be started.
pub fn run(cargo_arguments: &[&str], test_arguments: &[&str]) -> Result<Said> {
    let mut cargo = super::cargo(&["test", "--workspace", "--no-fail-fast"]);
    cargo.args(cargo_arguments).arg("--").args(test_arguments);
    // A group of its own, so that everything it started can be ended with it.
    let mut child = cargo.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0).spawn();
    let child = child.as_mut().map_err(|e| anyhow::anyhow!("start {}: {e}", tool::shown(&cargo)))?;
    let mut said = Said::default();
    let status = listen(child, &mut said)?;
    said.end_of_program();
    if !status.success() && said.failed == 0 {
        said.failed = 1;
    }
    Ok(said)
}

fn listen(child: &mut Child, said: &mut Said) -> Result<ExitStatus> {
    let begun = Instant::now();
    let output = child.stdout.take().context("read what the tests say")?;
    let (sender, lines) = mpsc::channel();
    // Not joined: a process that a test left behind may hold the other end of the pipe for ever.
    std::thread::spawn(move || {
        let lines = BufReader::new(output).split(b'\n').map_while(Result::ok);
        lines.map(|line| sender.send(line)).take_while(Result::is_ok).count()
    });
    let mut terminal = std::io::stdout();
    loop {
        match lines.recv_timeout(LOOK_EVERY) {
            Ok(line) => {
                let line = String::from_utf8_lossy(&line);
                said.hear(&line);
                writeln!(terminal, "{line}")?;
                continue;
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => return child.wait().context("wait for cargo test"),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
        }
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if begun.elapsed() > MAX_RUN {
            writeln!(terminal, "ended: the tests took more than {} minutes", MAX_RUN.as_secs() / 60)?;
            killpg(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGKILL)?;
        }
    }
}
