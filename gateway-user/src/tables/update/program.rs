//! Fetching by a program of the user's, for builds and machines whose TLS is elsewhere: `uclient-fetch` on OpenWrt.
//!
//! The program gets its arguments as they are and the URL last; no shell reads them. What it writes is bounded by the
//! caller, how long it may be silent here. Its words about a failure are handed on.

use super::fetch::{Answer, Failure, Incoming, Request, Validators};
use crate::config::UpdateConfig;
use anyhow::anyhow;
use std::io::{self, ErrorKind, Read};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

const CHUNK_LEN: usize = 64 * 1024;
/// How many chunks may wait.
const MAX_WAITING: usize = 2;
/// How much of a program's complaint is read.
const MAX_WORDS_LEN: u64 = 4096;

/// A program and its arguments.
pub(super) struct Program {
    words: Vec<String>,
    stall: Duration,
    whole: Duration,
}

impl Program {
    /// The one in the configuration, if there is one.
    pub(super) fn new(config: &UpdateConfig) -> Option<Self> {
        (!config.fetch_cmd.is_empty()).then(|| Self {
            words: config.fetch_cmd.clone(),
            stall: Duration::from_secs(config.stall_secs),
            whole: Duration::from_secs(config.timeout_secs),
        })
    }

    /// Starts it. A program cannot be asked for a part, nor whether a file has changed.
    pub(super) fn open(&self, request: &Request<'_>) -> Result<Answer, Failure> {
        let [name, arguments @ ..] = self.words.as_slice() else {
            return Err(Failure::permanent(anyhow!("no program is named")));
        };
        let mut child = Command::new(name)
            .args(arguments)
            .arg(request.url)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| Failure::permanent(anyhow!("start the program {name}: {error}")))?;
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(Failure::permanent(anyhow!("the program {name} has no output")));
        };
        let (chunks, incoming) = sync_channel(MAX_WAITING);
        let (complaint, words) = sync_channel(1);
        std::thread::spawn(move || hand_on(stdout, &chunks));
        std::thread::spawn(move || listen(stderr, &complaint));
        let mut output = Output {
            name: name.clone(),
            child,
            incoming,
            words,
            chunk: io::Cursor::new(Vec::new()),
            stall: self.stall,
            until: Instant::now() + self.whole,
        };
        // The first bytes tell whether it can: a file that is not there must not look like an empty one.
        output.fill().map_err(Failure::transient)?;
        Ok(Answer::Body(Incoming {
            from: 0,
            total: None,
            validators: Validators::default(),
            reader: Box::new(output),
        }))
    }
}

/// What a running program writes. It ends with it.
struct Output {
    name: String,
    child: Child,
    incoming: Receiver<io::Result<Vec<u8>>>,
    words: Receiver<String>,
    chunk: io::Cursor<Vec<u8>>,
    stall: Duration,
    until: Instant,
}

impl Output {
    /// Waits for the next chunk; at the end of the output for the program's own end.
    fn fill(&mut self) -> io::Result<()> {
        let left = self.until.saturating_duration_since(Instant::now());
        match self.incoming.recv_timeout(self.stall.min(left)) {
            Ok(chunk) => self.chunk = io::Cursor::new(chunk?),
            Err(RecvTimeoutError::Timeout) => {
                let words = format!("the program {} sends nothing", self.name);
                return Err(io::Error::new(ErrorKind::TimedOut, words));
            }
            Err(RecvTimeoutError::Disconnected) => {
                let status = self.child.wait()?;
                if !status.success() {
                    let said = self.words.recv_timeout(Duration::from_secs(1)).unwrap_or_default();
                    let said = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
                    let said: String = said.chars().filter(|c| !c.is_control()).collect();
                    return Err(io::Error::other(format!(
                        "the program {} ended with {status}: {said}",
                        self.name
                    )));
                }
            }
        }
        Ok(())
    }
}

impl Read for Output {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.chunk.position() >= self.chunk.get_ref().len() as u64 {
            self.fill()?;
        }
        self.chunk.read(buffer)
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // Whoever turns away half-way does not leave a program behind. One that has ended cannot be ended again.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn hand_on(mut from: ChildStdout, to: &SyncSender<io::Result<Vec<u8>>>) {
    loop {
        let mut chunk = vec![0; CHUNK_LEN];
        let (read, is_last) = match from.read(&mut chunk) {
            Ok(0) => return,
            Ok(len) => {
                chunk.truncate(len);
                (Ok(chunk), false)
            }
            Err(error) => (Err(error), true),
        };
        if to.send(read).is_err() || is_last {
            return;
        }
    }
}

fn listen(from: ChildStderr, to: &SyncSender<String>) {
    let mut words = Vec::new();
    let mut from = from.take(MAX_WORDS_LEN);
    let _ = from.read_to_end(&mut words);
    let _ = to.send(String::from_utf8_lossy(&words).into_owned());
    // The rest is taken and dropped, so that the program never waits for a reader.
    let _ = io::copy(&mut from.into_inner(), &mut io::sink());
}
